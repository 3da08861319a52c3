package generator

import (
	"fmt"
	"strings"
)

// proxy writes the forwarding proxy of a contract.
func (w *writer) proxy(c *contract) {
	instance, orchestrator := w.instance(c), w.use(orchestratorPath)
	w.line("// %s returns a proxy for %s. Each call is forwarded to what serves at that moment, the module's", c.live, c.name)
	w.line("// implementation or its noop, and holds a lease, so that the implementation is not stopped meanwhile. The proxy is safe")
	w.line("// for concurrent use if the implementation is.")
	live := w.taken.with().fresh("live")
	w.line("func %s%s(%s *%s.Live[%s]) %s { return %s%s{%s} }\n", c.live, w.parametersOf(c), live, orchestrator, instance, instance, c.proxyType, c.arguments(), live)
	w.line("type %s%s struct { %s *%s.Live[%s] }\n", c.proxyType, w.parametersOf(c), c.proxyField, orchestrator, instance)
	for _, m := range c.methods {
		h := w.head(m)
		receiver := h.names.fresh("p")
		for _, comment := range m.comments() {
			w.line("// %s", comment)
		}
		w.line("func (%s %s%s) %s%s {", receiver, c.proxyType, c.arguments(), m.fn.Name(), h.full())
		w.forward(c, m, h, receiver+"."+c.proxyField)
		w.line("}\n")
	}
}

// comments says what is special about how a method is forwarded.
func (m *method) comments() []string {
	switch {
	case m.form == handler:
		return []string{m.fn.Name() + " ends the request's context when the module's drain timeout has passed."}
	case m.form == reader:
		return []string{m.fn.Name() + " holds its lease until the reader is closed."}
	case m.form == channel:
		return []string{m.fn.Name() + " holds its lease until the channel is closed or the context has ended."}
	case m.form == sequence, m.form == pairs:
		return []string{m.fn.Name() + " is called when ranging starts, with what serves then; the range holds the lease."}
	case m.plain != "":
		return []string{m.fn.Name() + " returns what outlives the lease: " + strings.TrimSuffix(m.plain, ".") + "."}
	case m.lasts:
		return []string{m.fn.Name() + " ends the call's context when the module's drain timeout has passed."}
	default:
		return nil
	}
}

// forward writes the body of a proxy's method. The lease is released by defer, because it must be when the call panics.
func (w *writer) forward(c *contract, m *method, h head, live string) {
	switch m.form {
	case handler:
		w.line("%s.ForwardHTTP(%s, %s)", w.use(orchestratorPath), live, h.arguments(-1, ""))
	case reader, channel:
		w.forwardHeld(m, h, live)
	case sequence:
		w.forwardRange("ForwardSeq", c, m, h, live)
	case pairs:
		w.forwardRange("ForwardSeq2", c, m, h, live)
	default:
		w.forwardPlain(m, h, live)
	}
}

// forwardPlain writes a call whose lease ends when it returns. What is always done is inlined: the first try at a lease, and
// its end, of which defer keeps a pointer and not the lease. That takes a quarter off a call.
func (w *writer) forwardPlain(m *method, h head, live string) {
	lease, acquire := h.names.fresh("lease"), live+".Acquire()"
	if m.context >= 0 {
		acquire = fmt.Sprintf("%s.AcquireContext(%s)", live, h.params[m.context])
	}
	if m.lasts {
		ctx, cancel := h.params[m.context], h.names.fresh("cancel")
		w.line("%s := %s", lease, acquire)
		w.line("defer %s.Release()", lease)
		w.line("%s, %s := %s.Context(%s)", ctx, cancel, lease, ctx)
		w.line("defer %s()", cancel)
	} else {
		ok := h.names.fresh("ok")
		w.line("%s, %s := %s.TryAcquire()", lease, ok, live)
		w.line("if !%s {\n%s = %s\n}", ok, lease, acquire)
		w.line("defer %s.Call().End()", lease)
	}
	w.line("%s%s.Value.%s(%s)", returning(h), lease, m.fn.Name(), h.arguments(-1, ""))
}

func returning(h head) string {
	if len(h.results) == 0 {
		return ""
	}
	return "return "
}

// forwardHeld writes a call whose result takes the lease over.
func (w *writer) forwardHeld(m *method, h head, live string) {
	hold := h.names.fresh("hold")
	call := fmt.Sprintf("%s.Value.%s(%s)", hold, m.fn.Name(), h.arguments(m.context, hold+".Context()"))
	keep := func(result string) string {
		if m.form == channel {
			return fmt.Sprintf("%s.HoldChan(%s, %s)", w.use(orchestratorPath), hold, result)
		}
		return fmt.Sprintf("%s.ReadCloser(%s)", hold, result)
	}
	w.line("%s := %s.Hold(%s)", hold, live, w.contextOf(m, h))
	w.line("defer %s.Release()", hold)
	if len(h.results) == 1 {
		w.line("return %s", keep(call))
		return
	}
	failure := m.failure()
	results := make([]string, len(h.results))
	for i := range results {
		base := fmt.Sprintf("r%d", i)
		if i == failure {
			base = "err"
		}
		results[i] = h.names.fresh(base)
	}
	w.line("%s := %s", strings.Join(results, ", "), call)
	held := results[m.held]
	if failure >= 0 {
		results[m.held] = "nil"
		w.line("if %s != nil {\nreturn %s\n}", results[failure], strings.Join(results, ", "))
		results[failure] = "nil"
	}
	results[m.held] = keep(held)
	w.line("return %s", strings.Join(results, ", "))
}

// forwardRange writes a call that is made when ranging over its result starts.
func (w *writer) forwardRange(function string, c *contract, m *method, h head, live string) {
	to, inner := h.names.fresh("to"), "_"
	if m.context >= 0 {
		inner = h.params[m.context]
	}
	w.line("return %s.%s(%s, %s, func(%s %s.Context, %s %s) %s {", w.use(orchestratorPath), function, w.contextOf(m, h), live,
		inner, w.use("context"), to, w.instance(c), h.results[0])
	w.line("return %s.%s(%s)", to, m.fn.Name(), h.arguments(-1, ""))
	w.line("})")
}

// contextOf writes the context of a call: its parameter, if it has one.
func (w *writer) contextOf(m *method, h head) string {
	if m.context < 0 {
		return w.use("context") + ".Background()"
	}
	return h.params[m.context]
}
