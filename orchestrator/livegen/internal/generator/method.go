package generator

import (
	"errors"
	"fmt"
	"go/token"
	"go/types"
)

// method is one method of a contract, and how it is forwarded.
type method struct {
	fn        *types.Func
	signature *types.Signature
	label     string // Scheduler.Add
	position  token.Position
	directives

	form    form
	held    int // index of the result that outlives the call
	context int // index of the parameter that is a context.Context; -1: none
}

// form is how a method is forwarded.
type form int

const (
	plain    form = iota // the lease ends when the method returns
	handler              // ServeHTTP: the request's context is derived from the lease
	reader               // an io.ReadCloser holds the lease until it is closed
	channel              // a channel holds the lease until it is closed or the context has ended
	sequence             // an iter.Seq takes a lease for each range
	pairs                // an iter.Seq2 does
)

// analyse finds out how each method of the contract is forwarded. The error has all methods that can't be.
func (s *source) analyse(c *contract, noop bool) error {
	var errs []error
	for _, m := range c.methods {
		if err := s.analyseMethod(m, noop); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *source) analyseMethod(m *method, noop bool) error {
	if !m.fn.Exported() && m.fn.Pkg() != s.local {
		return m.wrong("the method is not exported from %q: only that package can implement it", m.fn.Pkg().Path())
	}
	if err := s.reachable(m.signature, m.fn.Pos()); err != nil {
		return m.wrong("%w", err)
	}
	var err error
	if m.directives, err = s.directivesOf(m.fn); err != nil {
		return m.wrong("%w", err)
	}
	m.context = -1
	for i := range m.signature.Params().Len() {
		if m.context < 0 && isNamed(m.signature.Params().At(i).Type(), "context", "Context") {
			m.context = i
		}
	}
	if err := m.classify(); err != nil {
		return err
	}
	if err := m.checkDirectives(); err != nil {
		return err
	}
	if noop {
		return m.checkNoop()
	}
	return nil
}

func (m *method) checkDirectives() error {
	switch {
	case m.plain != "" && m.form == handler:
		return m.wrong("//livegen:plain is not needed: nothing that the method returns outlives the call")
	case m.lasts && m.form != plain:
		return m.wrong("//livegen:lasts is not needed: the context of such a method ends with the drain timeout anyway")
	case m.lasts && m.context < 0:
		return m.wrong("//livegen:lasts needs a parameter of type context.Context, to end the call by")
	}
	return nil
}

// wrong is an error about the method.
func (m *method) wrong(format string, args ...any) error {
	return fmt.Errorf("%v: %s: "+format, append([]any{m.position, m.label}, args...)...)
}

// wrongResult is an error about one result of the method, with what its author may do.
func (m *method) wrongResult(i int, what, instead string) error {
	if instead != "" {
		instead += ", or "
	}
	return m.wrong("result %d (%s) %s: %saccept that it is used without a lease, with a comment %splain <reason>",
		i+1, m.describe(i), what, instead, directivePrefix)
}

// describe prints the type of a result, with the paths of packages as their names.
func (m *method) describe(i int) string {
	return types.TypeString(m.signature.Results().At(i).Type(), func(p *types.Package) string { return p.Name() })
}

// failure is the index of the error result: the last one, if it is an error; -1: none.
func (m *method) failure() int {
	last := m.signature.Results().Len() - 1
	if last >= 0 && isError(m.signature.Results().At(last).Type()) {
		return last
	}
	return -1
}

func isError(t types.Type) bool {
	return types.Identical(t, types.Universe.Lookup("error").Type())
}

// isNamed reports whether t is, or stands for, the type path.name, generic or not.
func isNamed(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}
