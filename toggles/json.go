package toggles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseJSON reads JSON into the same nodes as YAML, so that the rest of the loader knows one form, with lines.
func parseJSON(data []byte) (*yaml.Node, *ConfigError) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	p := &jsonParser{data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	root, err := p.value(0)
	if err == nil {
		if _, extra := p.decoder.Token(); !errors.Is(extra, io.EOF) {
			err = errors.New("there is something after the end of the document")
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("unexpected end of the document: %w", err)
		}
		return nil, &ConfigError{Line: p.errorLine(err), Message: "JSON syntax: " + err.Error(), Err: err}
	}
	if isNull(root) {
		return nil, nil
	}
	return root, nil
}

type jsonParser struct {
	data    []byte
	decoder *json.Decoder
	line    int // of counted
	counted int // bytes
}

// lineAt returns the line of an offset, from 1. Offsets must not decrease.
func (p *jsonParser) lineAt(offset int64) int {
	end := min(int(offset), len(p.data))
	if end > p.counted {
		p.line += bytes.Count(p.data[p.counted:end], []byte("\n"))
		p.counted = end
	}
	return p.line + 1
}

func (p *jsonParser) errorLine(err error) int {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return bytes.Count(p.data[:min(int(syntax.Offset), len(p.data))], []byte("\n")) + 1
	}
	return p.lineAt(p.decoder.InputOffset())
}

func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: p.lineAt(p.decoder.InputOffset())}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	switch v := token.(type) {
	case json.Delim:
		return n, p.composite(n, v, depth)
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(v)
	default:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

func (p *jsonParser) composite(n *yaml.Node, open json.Delim, depth int) error {
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for p.decoder.More() {
		child, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := p.decoder.Token()
	return err
}
