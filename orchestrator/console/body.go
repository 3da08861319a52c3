package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/detectviz/switchyard/orchestrator"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// bodyError says that a body can't be read as what it should be.
type bodyError struct{ error }

// decode reads one JSON value of known fields, and nothing after it.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return &bodyError{fmt.Errorf("body: %w", err)}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return &bodyError{errors.New("body: something follows the JSON value; allowed is one")}
	}
	return nil
}

// problemOf returns how an error is answered.
func problemOf(err error) (int, Problem) {
	var unreadable *bodyError
	var unknown *orchestrator.UnknownModuleError
	var refused *orchestrator.OverrideError
	var change *orchestrator.ChangeError
	// First: what a failed module says is its cause, not what was wrong with the request.
	if p, ok := conflictOf(err); ok {
		return http.StatusConflict, p
	}
	switch {
	case errors.As(err, &unreadable):
		return http.StatusBadRequest, Problem{Error: err.Error()}
	case errors.As(err, &unknown):
		return http.StatusNotFound, Problem{Error: err.Error()}
	case errors.As(err, &refused):
		return http.StatusUnprocessableEntity, Problem{Error: err.Error(), Field: refused.Field, Value: refused.Value, Allowed: refused.Allowed}
	case errors.As(err, &change):
		return http.StatusUnprocessableEntity, Problem{Error: err.Error(), Field: change.Field, Value: change.Value, Allowed: change.Allowed}
	default:
		return http.StatusInternalServerError, Problem{Error: err.Error()}
	}
}
