package generator

import (
	"go/types"
)

// classify decides how the method is forwarded, by what it returns.
func (m *method) classify() error {
	if isServeHTTP(m.fn) {
		m.form = handler
		return nil
	}
	results := m.signature.Results()
	refused := error(nil)
	outliving := 0
	for i := range results.Len() {
		form, err := m.classifyResult(i)
		if err != nil && refused == nil {
			refused = err
		}
		if form == plain {
			continue
		}
		if outliving++; outliving > 1 && refused == nil {
			refused = m.wrongResult(i, "outlives the call, and another one does too, but the lease can end with one of them only", "return one of them")
		}
		m.form, m.held = form, i
	}
	if outliving == 1 && refused == nil {
		refused = m.checkStream()
	}
	switch {
	case m.plain != "" && refused == nil && m.form == plain:
		return m.wrong("//livegen:plain is not needed: nothing that the method returns outlives the call")
	case m.plain != "":
		m.form = plain
		return nil
	default:
		return refused
	}
}

// checkStream refuses a result that outlives the call in a way that nothing would end.
func (m *method) checkStream() error {
	switch {
	case m.form == channel && m.context < 0:
		return m.wrongResult(m.held, "outlives the call, and nothing ends it for a caller who stops receiving", "add a parameter of type context.Context")
	case m.form == sequence && m.signature.Results().Len() > 1, m.form == pairs && m.signature.Results().Len() > 1:
		return m.wrongResult(m.held, "is called when ranging starts, so there can't be other results before", "return an iter.Seq2 whose second value is the error")
	}
	return nil
}

// classifyResult decides about one result. An error is about a result that outlives the call and can't hold the lease.
func (m *method) classifyResult(i int) (form, error) {
	t := m.signature.Results().At(i).Type()
	if isNamed(t, "iter", "Seq") || isNamed(t, "iter", "Seq2") {
		for arg := range types.Unalias(t).(*types.Named).TypeArgs().Types() {
			if what := lasting(arg); what != "" {
				return plain, m.wrongResult(i, "has elements that outlive the call: "+what, "")
			}
		}
		if isNamed(t, "iter", "Seq") {
			return sequence, nil
		}
		return pairs, nil
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		if u.Dir() != types.RecvOnly {
			return plain, m.wrongResult(i, "can be sent to, and so can't be replaced by one that holds the lease", "return <-chan, which can only be received from")
		}
		if what := lasting(u.Elem()); what != "" {
			return plain, m.wrongResult(i, "has elements that outlive the call: "+what, "")
		}
		return channel, nil
	case *types.Signature:
		return plain, m.wrongResult(i, "is a function that may be called after the call, and nobody says when it ends", "return a value, or add a method for it")
	case *types.Interface:
		return m.classifyInterface(i, t, u)
	default:
		if what := lasting(t); what != "" {
			return plain, m.wrongResult(i, "outlives the call: "+what, "return a value, or io.ReadCloser for what is read and closed")
		}
		return plain, nil
	}
}

func (m *method) classifyInterface(i int, t types.Type, u *types.Interface) (form, error) {
	_, parameter := types.Unalias(t).(*types.TypeParam)
	switch {
	case parameter, isError(t), u.NumMethods() == 0:
		return plain, nil
	case isReadCloser(u):
		return reader, nil
	case isReader(u):
		return plain, m.wrongResult(i, "outlives the call, and nobody says when it ends", "return io.ReadCloser")
	case isNamed(t, "net/http", "Handler"):
		return plain, m.wrongResult(i, "would be called after the call", "embed http.Handler in the interface")
	default:
		return plain, m.wrongResult(i, "is an interface whose methods may be called after the call", "return a value, or move its methods to the interface of the module")
	}
}

func isServeHTTP(fn *types.Func) bool {
	p := fn.Signature().Params()
	return fn.Name() == "ServeHTTP" && fn.Signature().Results().Len() == 0 && p.Len() == 2 &&
		isNamed(p.At(0).Type(), "net/http", "ResponseWriter") && isRequest(p.At(1).Type())
}

func isRequest(t types.Type) bool {
	p, ok := types.Unalias(t).(*types.Pointer)
	return ok && isNamed(p.Elem(), "net/http", "Request")
}

func isReader(i *types.Interface) bool {
	return i.NumMethods() == 1 && isRead(i.Method(0))
}

func isReadCloser(i *types.Interface) bool {
	return i.NumMethods() == 2 && isClose(i.Method(0)) && isRead(i.Method(1)) // sorted by name
}

func isRead(fn *types.Func) bool {
	p, r := fn.Signature().Params(), fn.Signature().Results()
	return fn.Name() == "Read" && p.Len() == 1 && r.Len() == 2 &&
		types.Identical(p.At(0).Type(), types.NewSlice(types.Typ[types.Byte])) &&
		types.Identical(r.At(0).Type(), types.Typ[types.Int]) && isError(r.At(1).Type())
}

func isClose(fn *types.Func) bool {
	p, r := fn.Signature().Params(), fn.Signature().Results()
	return fn.Name() == "Close" && p.Len() == 0 && r.Len() == 1 && isError(r.At(0).Type())
}
