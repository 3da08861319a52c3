package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

const (
	defaultServer = "http://127.0.0.1:8080"
	clientTimeout = 10 * time.Second
	maxAnswer     = 16 << 20 // bytes
)

// asking are the options of the commands that ask a running instance, and what a command sends.
type asking struct {
	server, output, dataDir string

	method string // default GET
	token  string
	body   []byte // JSON
}

func (a *asking) addTo(c *cobra.Command) {
	c.Flags().StringVar(&a.server, "server", defaultServer, "URL of the running instance's console")
	c.Flags().StringVarP(&a.output, "output", "o", "table", "output format: table or json")
	c.Flags().StringVar(&a.dataDir, "data-dir", "", "data directory of the instance, for its token; asking needs it with http.requireToken only")
}

// readToken takes the token out of the instance's data directory.
func (a *asking) readToken() (err error) {
	a.token, err = readToken(filepath.Join(cmp.Or(a.dataDir, defaultDataDir), tokenFile))
	if err != nil {
		return fmt.Errorf("the token of the instance is required (--data-dir names its data directory): %w", err)
	}
	return nil
}

const defaultDataDir = "./detectviz-data"

func newModules() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "modules",
		Short: "List the modules of a running instance with their states",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var modules []orchestrator.Status
			return a.show(cmd, "/api/v1/modules", &modules, func(w io.Writer) error { return writeTable(w, modules) })
		},
	}
	a.addTo(c)
	return c
}

func newExplain() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "explain MODULE",
		Short: "Say why a module of a running instance is in its state",
		Args:  oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			var e orchestrator.Explanation
			return a.show(cmd, "/api/v1/modules/"+url.PathEscape(args[0]), &e, func(w io.Writer) error { return writeExplanation(w, e) })
		},
	}
	a.addTo(c)
	return c
}

func newFlags() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "flags",
		Short: "List the flags of a running instance with what decided them",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var flags []orchestrator.FlagDecision
			return a.show(cmd, "/api/v1/flags", &flags, func(w io.Writer) error { return writeFlags(w, flags) })
		},
	}
	a.addTo(c)
	return c
}

func newGraph() *cobra.Command {
	var a asking
	var dot, mermaid bool
	c := &cobra.Command{
		Use:   "graph",
		Short: "Show how the modules of a running instance depend on each other",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var g orchestrator.Graph
			return a.show(cmd, "/api/v1/graph", &g, func(w io.Writer) error {
				switch {
				case dot:
					_, err := io.WriteString(w, g.DOT())
					return err
				case mermaid:
					_, err := io.WriteString(w, g.Mermaid())
					return err
				default:
					return writeGraph(w, g)
				}
			})
		},
	}
	a.addTo(c)
	c.Flags().BoolVar(&dot, "dot", false, "in the language of Graphviz")
	c.Flags().BoolVar(&mermaid, "mermaid", false, "as a Mermaid flowchart")
	c.MarkFlagsMutuallyExclusive("dot", "mermaid")
	return c
}

// show asks for path, decodes the answer into v, and prints it.
func (a *asking) show(cmd *cobra.Command, path string, v any, table func(io.Writer) error) error {
	if a.output != "table" && a.output != "json" {
		return &usageError{fmt.Errorf("--output: %q: allowed are table and json", a.output)}
	}
	body, err := a.ask(cmd.Context(), path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%s%s: not the answer of a detectviz console: %w", a.server, path, err)
	}
	if a.output == "json" {
		_, err := cmd.OutOrStdout().Write(body)
		return err
	}
	return table(cmd.OutOrStdout())
}

func (a *asking) ask(ctx context.Context, path string) ([]byte, error) {
	if u, err := url.Parse(a.server); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, &usageError{fmt.Errorf("--server: %q: allowed is a URL such as %s", a.server, defaultServer)}
	}
	if a.token == "" && a.dataDir != "" {
		if err := a.readToken(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, cmp.Or(a.method, http.MethodGet), strings.TrimSuffix(a.server, "/")+path, bytes.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no instance answers (is detectviz running? --server names another address): %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", a.server, path, err)
	}
	if response.StatusCode != http.StatusOK {
		var problem console.Problem
		if json.Unmarshal(body, &problem) == nil && problem.Error != "" {
			return nil, fmt.Errorf("%s", problem.Error)
		}
		return nil, fmt.Errorf("%s%s: unexpected answer: %s", a.server, path, response.Status)
	}
	return body, nil
}
