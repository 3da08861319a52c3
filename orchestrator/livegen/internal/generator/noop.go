package generator

import (
	"go/types"
	"strings"
)

// checkNoop refuses what the noop can't answer.
func (m *method) checkNoop() error {
	switch m.fn.Name() {
	case "Calls", "Noop":
		return m.wrong("orchestrator.Noop, which the noop embeds, has the same name: rename the method, or write the noop by hand and set -noop=false")
	}
	if m.failure() >= 0 {
		return nil
	}
	for i := range m.signature.Results().Len() {
		if what := unanswerable(m.signature.Results().At(i).Type()); what != "" {
			return m.wrong("result %d (%s) has no value that a noop could return (%s): add an error result, or write the noop by hand and set -noop=false", i+1, m.describe(i), what)
		}
	}
	return nil
}

// noop writes the noop of a contract.
func (w *writer) noop(c *contract) {
	instance := w.instance(c)
	w.line("// %s returns a new noop for %s, which serves one module of one app. Its methods return an error that matches", c.noop, c.name)
	w.line("// orchestrator.ErrDisabled where they have one to return, and count the call. They never block and are safe for")
	w.line("// concurrent use.")
	w.line("func %s%s() %s { return &%s%s{} }\n", c.noop, w.parametersOf(c), instance, c.noopType, c.arguments())
	w.line("type %s%s struct { %s.Noop }\n", c.noopType, w.parametersOf(c), w.use(orchestratorPath))
	called := "Called"
	for _, m := range c.methods {
		if m.fn.Name() == called {
			called = "Noop.Called"
		}
	}
	for _, m := range c.methods {
		h := w.head(m)
		receiver := h.names.fresh("n")
		written := h.bare()
		if m.form == handler {
			written = h.full()
		}
		w.line("func (%s *%s%s) %s%s {", receiver, c.noopType, c.arguments(), m.fn.Name(), written)
		w.answer(m, h, receiver, receiver+"."+called+"()")
		w.line("}\n")
	}
}

// answer writes the body of a noop's method. call is the expression that counts the call and is the error.
func (w *writer) answer(m *method, h head, receiver, call string) {
	results := m.signature.Results()
	switch {
	case m.form == handler:
		w.line("%s.ServeDisabled(&%s.Noop, %s)", w.use(orchestratorPath), receiver, h.arguments(-1, ""))
		return
	case results.Len() == 0:
		w.line("_ = %s", call)
		return
	}
	values := make([]string, results.Len())
	failure := m.failure()
	if failure >= 0 {
		for i := range values {
			values[i] = w.zero(results.At(i).Type())
		}
		values[failure] = call
		w.line("return %s", strings.Join(values, ", "))
		return
	}
	err := h.names.fresh("err")
	body := &answers{w: w, names: h.names, err: err}
	for i := range values {
		values[i] = body.value(results.At(i).Type())
	}
	if body.usesErr {
		w.line("%s := %s", err, call)
	} else {
		w.line("_ = %s", call)
	}
	for _, s := range body.before {
		w.line("%s", s)
	}
	w.line("return %s", strings.Join(values, ", "))
}

// answers writes the results of a noop's method that has no error to return: values that a caller can use safely.
type answers struct {
	w       *writer
	names   names
	err     string   // the variable that holds the error
	usesErr bool     // ... if a value tells it
	before  []string // statements that the values need
}

func (a *answers) value(t types.Type) string {
	if isNamed(t, "iter", "Seq2") {
		if args := types.Unalias(t).(*types.Named).TypeArgs(); isError(args.At(1)) {
			return a.failing(args.At(0))
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		closed := a.names.fresh("closed")
		a.before = append(a.before, closed+" := make(chan "+a.element(u)+")", "close("+closed+")")
		return closed
	case *types.Signature:
		return a.function(u)
	case *types.Interface:
		if isReader(u) || isReadCloser(u) {
			a.usesErr = true
			return a.w.use(orchestratorPath) + ".DisabledReader(" + a.err + ")"
		}
	}
	return a.w.zero(t)
}

// element writes the element of a channel type; one that is itself a channel is put in parentheses.
func (a *answers) element(c *types.Chan) string {
	if _, ok := c.Elem().(*types.Chan); ok {
		return "(" + a.w.write(c.Elem()) + ")"
	}
	return a.w.write(c.Elem())
}

// function writes a function that does nothing.
func (a *answers) function(f *types.Signature) string {
	var params, results, values []string
	for p := range f.Params().Variables() {
		params = append(params, a.w.write(p.Type()))
	}
	if f.Variadic() {
		last := len(params) - 1
		params[last] = "..." + strings.TrimPrefix(params[last], "[]")
	}
	for r := range f.Results().Variables() {
		results = append(results, a.w.write(r.Type()))
		values = append(values, a.value(r.Type()))
	}
	if n := len(values); n > 0 && isError(f.Results().At(n-1).Type()) {
		a.usesErr = true
		values[n-1] = a.err
	}
	head := "func(" + strings.Join(params, ", ") + ")"
	if len(results) == 0 {
		return head + " {}"
	}
	return head + " (" + strings.Join(results, ", ") + ") { return " + strings.Join(values, ", ") + " }"
}

// failing writes a sequence of one pair, with the error.
func (a *answers) failing(key types.Type) string {
	a.usesErr = true
	yield := a.names.fresh("yield")
	return "func(" + yield + " func(" + a.w.write(key) + ", error) bool) { " + yield + "(" + a.w.zero(key) + ", " + a.err + ") }"
}
