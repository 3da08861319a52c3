package console

import (
	"html"
	"net/http"
	"strings"

	"github.com/detectviz/switchyard/orchestrator"
)

func (c *console) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	write(w, http.StatusOK, "text/html; charset=utf-8", []byte(pageHead+rows(c.engine.Status())+pageTail))
}

// rows are the modules as rows of the table. Values stand in the content of elements only, where escaping them is enough.
// A template would say it more nicely, but calls methods by their names at run time: programs that link it grow by 4.4 MB,
// because the linker has to keep every method that is exported anywhere.
func rows(modules []orchestrator.Status) string {
	var b strings.Builder
	for _, m := range modules {
		why := m.Reason
		if m.Error != "" && m.Error != why {
			why += " (" + m.Error + ")"
		}
		b.WriteString(`<tr><th scope="row">` + html.EscapeString(m.Name) + "</th>")
		for _, cell := range []string{string(m.State), m.Implementation, m.Flag, why} {
			b.WriteString("<td>" + html.EscapeString(cell) + "</td>")
		}
		b.WriteString("</tr>\n")
	}
	return b.String()
}

const pageHead = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Modules</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #8884;vertical-align:top}</style></head>
<body><h1>Modules</h1><table><thead><tr><th scope="col">Module</th><th scope="col">State</th><th scope="col">Serves</th><th scope="col">Flag</th><th scope="col">Why</th></tr></thead><tbody>
`

const pageTail = `</tbody></table></body></html>
`
