package toggles

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Content is what was read of one file.
type Content struct {
	Path string
	Data []byte // nil if Err is set
	Err  error  // why it could not be read: missing, a directory, larger than 1 MiB, ...
}

// readContent reads a file of at most maxDocument bytes.
func readContent(path string) Content {
	data, err := readFile(path)
	return Content{Path: path, Data: data, Err: err}
}

func readFile(path string) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("is larger than %d bytes", maxDocument)
	}
	return data, nil
}

// openFile opens a regular file. Others are refused before they are opened: to open a named pipe blocks.
func openFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a directory; a file is required")
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	}
	return os.Open(path)
}

// fingerprint identifies what a load sees of a file.
type fingerprint [sha256.Size]byte

func (c Content) fingerprint() fingerprint {
	if c.Err != nil {
		return sha256.Sum256([]byte("error\x00" + c.Err.Error()))
	}
	return sha256.Sum256(append([]byte("data\x00"), c.Data...))
}

// empty reports whether there is nothing in the file, as in the middle of a write.
func (c Content) empty() bool { return c.Err != nil || len(bytes.TrimSpace(c.Data)) == 0 }

// parse returns the root mapping of a document; nil if the document is empty.
func (c Content) parse() (*yaml.Node, *ConfigError) {
	if c.Err != nil {
		message := c.Err.Error()
		if path, ok := errors.AsType[*fs.PathError](c.Err); ok {
			message = path.Err.Error()
		}
		return nil, &ConfigError{Source: c.Path, Message: message, Err: c.Err}
	}
	var root *yaml.Node
	var err *ConfigError
	if strings.EqualFold(filepath.Ext(c.Path), ".json") {
		root, err = parseJSON(c.Data)
	} else {
		root, err = parseYAML(c.Data)
	}
	if err == nil && root != nil && root.Kind != yaml.MappingNode {
		err = &ConfigError{Line: root.Line, Message: what(root) + " is not allowed; allowed: a mapping of keys to values"}
	}
	if err != nil {
		err.Source = c.Path
		return nil, err
	}
	return root, nil
}

// parseYAML returns the content of the only document; nil if there is none.
func parseYAML(data []byte) (*yaml.Node, *ConfigError) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxError(err)
	}
	switch err := decoder.Decode(&next); {
	case err == nil:
		return nil, &ConfigError{Line: next.Line, Message: "a second YAML document begins here; allowed: one document"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(err)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	return doc.Content[0], nil
}

// syntaxError moves the line out of the text of a YAML error ("yaml: line 3: did not find ...").
func syntaxError(err error) *ConfigError {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &ConfigError{Err: err}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, message, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				e.Line, text = line, message
			}
		}
	}
	e.Message = "YAML syntax: " + text
	return e
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// what says what a node is, for errors.
func what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}
