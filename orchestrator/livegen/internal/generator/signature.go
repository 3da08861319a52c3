package generator

import (
	"fmt"
	"go/types"
	"strings"
)

// head is the head of a method, with a name for each parameter that its body can use.
type head struct {
	params   []string // names
	types    []string // types, of the last one with dots if it is variadic
	results  []string
	variadic bool
	names    names // taken in the body
}

// head chooses the names of the parameters: those that the interface gives them, unless they would hide what the body uses.
func (w *writer) head(m *method) head {
	h := head{names: w.taken.with(), variadic: m.signature.Variadic()}
	params := m.signature.Params()
	for i := range params.Len() {
		p := params.At(i)
		h.params = append(h.params, h.names.fresh(parameterName(i, p)))
		written := w.write(p.Type())
		if h.variadic && i == params.Len()-1 {
			written = "..." + strings.TrimPrefix(written, "[]")
		}
		h.types = append(h.types, written)
	}
	for r := range m.signature.Results().Variables() {
		h.results = append(h.results, w.write(r.Type()))
	}
	return h
}

func parameterName(i int, p *types.Var) string {
	switch {
	case p.Name() != "" && p.Name() != "_":
		return p.Name()
	case isNamed(p.Type(), "context", "Context"):
		return "ctx"
	case isNamed(p.Type(), "net/http", "ResponseWriter"):
		return "w"
	case isRequest(p.Type()):
		return "r"
	default:
		return fmt.Sprintf("p%d", i)
	}
}

// full writes (ctx context.Context, id string) error.
func (h head) full() string {
	list := make([]string, len(h.params))
	for i, name := range h.params {
		list[i] = name + " " + h.types[i]
	}
	return "(" + strings.Join(list, ", ") + ")" + h.resultList()
}

// bare writes (context.Context, string) error, for a body that uses no parameter.
func (h head) bare() string { return "(" + strings.Join(h.types, ", ") + ")" + h.resultList() }

func (h head) resultList() string {
	switch len(h.results) {
	case 0:
		return ""
	case 1:
		return " " + h.results[0]
	default:
		return " (" + strings.Join(h.results, ", ") + ")"
	}
}

// arguments writes the parameters as the arguments of a call; those in replaced are called something else there.
func (h head) arguments(replace int, with string) string {
	list := append([]string{}, h.params...)
	if replace >= 0 {
		list[replace] = with
	}
	args := strings.Join(list, ", ")
	if h.variadic {
		args += "..."
	}
	return args
}
