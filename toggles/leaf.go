package toggles

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// literal is a scalar as written.
type literal struct {
	tag    string // what YAML takes it for: !!str, !!int, !!float, !!bool, !!timestamp, ...
	text   string
	quoted bool
	plain  bool // from a variable or the command line, where there is no way to quote
}

// leaf converts a scalar to the value that koanf merges.
type leaf interface {
	allowed() string
	// convert returns errNotAllowed, or an error that says more.
	convert(l literal) (any, error)
}

var errNotAllowed = errors.New("not allowed")

type stringLeaf struct{}

func (stringLeaf) allowed() string { return "a string" }

func (stringLeaf) convert(l literal) (any, error) {
	if l.tag == "!!bool" && !l.plain {
		return nil, errors.New("is not allowed; allowed: a string (quote it if you mean the word)")
	}
	return l.text, nil
}

type boolLeaf struct{}

func (boolLeaf) allowed() string { return "true or false" }

func (boolLeaf) convert(l literal) (any, error) {
	if b, ok := plainBool(l); ok && !l.quoted {
		return b, nil
	}
	return nil, errNotAllowed
}

// plainBool understands the words for booleans and, where everything is text, 1 and 0.
func plainBool(l literal) (value, ok bool) {
	if l.plain && (l.text == "1" || l.text == "0") {
		return l.text == "1", true
	}
	return boolWord(l.text)
}

// intLeaf is for signed integers of so many bits.
type intLeaf struct{ bits int }

func (i intLeaf) allowed() string {
	highest := int64(math.MaxInt64) >> (64 - i.bits)
	return fmt.Sprintf("an integer from %d to %d", -highest-1, highest)
}

func (i intLeaf) convert(l literal) (any, error) {
	if l.tag == "!!int" || l.plain {
		if v, err := strconv.ParseInt(l.text, 0, i.bits); err == nil {
			return v, nil
		}
	}
	return nil, errNotAllowed
}

// uintLeaf is for unsigned integers of so many bits.
type uintLeaf struct{ bits int }

func (u uintLeaf) allowed() string {
	return fmt.Sprintf("an integer from 0 to %d", uint64(math.MaxUint64)>>(64-u.bits))
}

func (u uintLeaf) convert(l literal) (any, error) {
	if l.tag == "!!int" || l.plain {
		if v, err := strconv.ParseUint(l.text, 0, u.bits); err == nil {
			return v, nil
		}
	}
	return nil, errNotAllowed
}

type floatLeaf struct{}

func (floatLeaf) allowed() string { return "a number" }

func (floatLeaf) convert(l literal) (any, error) {
	if l.tag == "!!int" || l.tag == "!!float" || l.plain {
		if v, err := strconv.ParseFloat(l.text, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, nil
		}
	}
	return nil, errNotAllowed
}

type durationLeaf struct{}

func (durationLeaf) allowed() string { return `a duration such as "10s", "1m30s" or "250ms"` }

func (durationLeaf) convert(l literal) (any, error) {
	d, err := time.ParseDuration(l.text)
	if err != nil {
		return nil, errNotAllowed
	}
	return d.String(), nil
}

// textLeaf is for types that decode themselves. The value stays text until the whole is decoded.
type textLeaf struct{ typ reflect.Type }

func (t textLeaf) allowed() string { return "text that is a " + t.typ.String() }

func (t textLeaf) convert(l literal) (any, error) {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(t.typ)); ok {
		if err := u.UnmarshalText([]byte(l.text)); err != nil {
			return nil, fmt.Errorf("is not allowed: %w", err)
		}
	}
	return l.text, nil
}

type toggleLeaf struct{}

func (toggleLeaf) allowed() string { return "true, false or the name of a variant" }

func (toggleLeaf) convert(l literal) (any, error) {
	if b, ok := plainBool(l); ok {
		return b, nil
	}
	if (l.tag == "!!str" || l.plain) && l.text != "" && l.text == strings.TrimSpace(l.text) {
		return l.text, nil
	}
	return nil, errNotAllowed
}

// contextLeaf keeps the type that YAML sees.
type contextLeaf struct{}

func (contextLeaf) allowed() string { return "a bool, a number or a string" }

func (contextLeaf) convert(l literal) (any, error) {
	switch l.tag {
	case "!!bool":
		if b, ok := boolWord(l.text); ok {
			return b, nil
		}
	case "!!int":
		if v, err := (intLeaf{64}).convert(l); err == nil {
			return v, nil
		}
		return floatLeaf{}.convert(literal{tag: "!!float", text: l.text})
	case "!!float":
		return floatLeaf{}.convert(l)
	case "!!null":
		return nil, errNotAllowed
	}
	return l.text, nil
}
