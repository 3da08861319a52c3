package toggles

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/detectviz/switchyard/orchestrator"
)

// evaluator asks OpenFeature. One goroutine at a time uses it.
type evaluator struct {
	client  *openfeature.Client
	strings map[string]bool                  // flags whose value was a string the last time: ask for that first
	good    map[string]orchestrator.Decision // last good decisions
}

// decide evaluates a flag into the decision that is now in force.
func (e *evaluator) decide(ctx context.Context, flag string, now time.Time) orchestrator.Decision {
	d, err := e.evaluate(ctx, flag)
	if err != nil {
		held, ok := e.good[flag]
		if !ok {
			held = orchestrator.Decision{Flag: flag, Value: false, Variant: "off", Reason: string(openfeature.ErrorReason), Layer: LayerDefault, Source: moduleDefault, At: now}
		}
		held.ErrorCode, held.Error = string(err.code), err.message
		return held
	}
	d.At = now
	if last, ok := e.good[flag]; ok && sameAnswer(last, d) {
		d.At = last.At
	}
	e.good[flag] = d
	return d
}

// sameAnswer reports whether value and source are the same.
func sameAnswer(a, b orchestrator.Decision) bool {
	return a.Enabled == b.Enabled && a.Value == b.Value && a.Variant == b.Variant && a.Layer == b.Layer && a.Source == b.Source
}

const moduleDefault = "module default"

// failure is why a flag could not be evaluated.
type failure struct {
	code    openfeature.ErrorCode
	message string
}

// evaluate asks for a flag. A flag that is not there is an answer: off.
func (e *evaluator) evaluate(ctx context.Context, flag string) (d orchestrator.Decision, fail *failure) {
	defer func() {
		if r := recover(); r != nil {
			fail = &failure{openfeature.GeneralCode, fmt.Sprintf("the provider panicked: %v", r)}
		}
	}()
	if fail := e.unusable(); fail != nil {
		return d, fail
	}
	value, details, err := e.ask(ctx, flag)
	if fail := e.unusable(); fail != nil {
		return d, fail // the answer may come from before the provider failed
	}
	switch {
	case details.ErrorCode == openfeature.FlagNotFoundCode:
		return orchestrator.Decision{Flag: flag, Value: false, Variant: "off", Reason: string(openfeature.DefaultReason), Layer: LayerDefault, Source: moduleDefault}, nil
	case err != nil:
		return d, &failure{codeOf(details), messageOf(details, err)}
	}
	return decisionOf(flag, value, details), nil
}

// ask evaluates as the kind that the flag had the last time, else as the other kind.
func (e *evaluator) ask(ctx context.Context, flag string) (any, openfeature.EvaluationDetails, error) {
	for range 2 {
		var value any
		var details openfeature.EvaluationDetails
		var err error
		if e.strings[flag] {
			answer, failed := e.client.StringValueDetails(ctx, flag, "", openfeature.EvaluationContext{})
			value, details, err = answer.Value, answer.EvaluationDetails, failed
		} else {
			answer, failed := e.client.BooleanValueDetails(ctx, flag, false, openfeature.EvaluationContext{})
			value, details, err = answer.Value, answer.EvaluationDetails, failed
		}
		if details.ErrorCode != openfeature.TypeMismatchCode {
			return value, details, err
		}
		e.strings[flag] = !e.strings[flag]
	}
	answer, err := e.client.ObjectValueDetails(ctx, flag, nil, openfeature.EvaluationContext{})
	switch answer.Value.(type) {
	case bool, string:
		return answer.Value, answer.EvaluationDetails, err
	}
	answer.ErrorCode = openfeature.TypeMismatchCode
	answer.ErrorMessage = fmt.Sprintf("value %v; allowed: %s", answer.Value, toggleLeaf{}.allowed())
	return nil, answer.EvaluationDetails, errors.New(answer.ErrorMessage)
}

// unusable says why no answer of the provider counts now; nil if they do.
func (e *evaluator) unusable() *failure {
	switch state := e.client.State(); state {
	case openfeature.ReadyState:
		return nil
	case openfeature.NotReadyState:
		return &failure{openfeature.ProviderNotReadyCode, "the provider is not ready"}
	case openfeature.FatalState:
		return &failure{openfeature.ProviderFatalCode, "the provider failed for good"}
	default:
		return &failure{openfeature.GeneralCode, fmt.Sprintf("the provider is in the state %s", state)}
	}
}

func decisionOf(flag string, value any, details openfeature.EvaluationDetails) orchestrator.Decision {
	d := orchestrator.Decision{
		Flag:    flag,
		Value:   value,
		Reason:  string(details.Reason),
		Variant: variantOf(value),
		Layer:   text(details.FlagMetadata, MetadataLayer, "provider"),
		Source:  text(details.FlagMetadata, MetadataSource, "OpenFeature provider"),
	}
	switch v := value.(type) {
	case bool:
		d.Enabled = v
	case string:
		d.Enabled = v != "" && !strings.EqualFold(v, "off")
	}
	if !d.Enabled {
		d.Variant = "off"
	}
	return d
}

func text(m openfeature.FlagMetadata, key, otherwise string) string {
	if s, err := m.GetString(key); err == nil && s != "" {
		return s
	}
	return otherwise
}

func codeOf(d openfeature.EvaluationDetails) openfeature.ErrorCode {
	if d.ErrorCode == "" {
		return openfeature.GeneralCode
	}
	return d.ErrorCode
}

func messageOf(d openfeature.EvaluationDetails, err error) string {
	if d.ErrorMessage == "" {
		return err.Error()
	}
	return d.ErrorMessage
}
