package orchestrator_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// The engine accepts a private graph if and only if the container does, which it asks only about graphs that it doesn't
// understand: here about a random one of each kind of mistake and of its absence.
func TestGraphsAreJudgedAsByTheContainer(t *testing.T) {
	t.Parallel()
	const rounds = 800
	accepted := 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- tests have to repeat
		constructors := randomGraph(r)
		want := fx.ValidateApp(fx.NopLogger, fx.Provide(constructors...), fx.Populate(new(mailer)))
		got := fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newGate() }),
			orchestrator.Module("a", orchestrator.Flag("x"), orchestrator.Export[mailer](&noMail{}, newLiveMailer),
				orchestrator.Provide(constructors...))).Err()
		if (got == nil) != (want == nil) {
			t.Errorf("seed %d: the engine says %v, the container %v, of %v", seed, got, want, types(constructors))
		}
		if want == nil {
			accepted++
		}
	}
	if accepted < rounds/10 || accepted > rounds*9/10 {
		t.Errorf("%d of %d graphs were good: that proves little", accepted, rounds)
	}
}

type (
	part0 struct{ _ int }
	part1 struct{ _ int }
	part2 struct{ _ int }
	part3 struct{ fx.In } // a pointer to it can't be had
	part4 struct{ fx.Out }
)

// randomGraph returns constructors, of which the first provides the mailer, most times. They are never called.
func randomGraph(r *rand.Rand) []any {
	parts := []reflect.Type{reflect.TypeFor[*part0](), reflect.TypeFor[*part1](), reflect.TypeFor[part2](), reflect.TypeFor[fx.Lifecycle]()}
	rare := []reflect.Type{
		reflect.TypeFor[*part3](), reflect.TypeFor[part3](), reflect.TypeFor[*part4](), reflect.TypeFor[part4](), reflect.TypeFor[error](),
		reflect.TypeFor[fx.Annotated](), reflect.TypeFor[fx.DotGraph](), reflect.TypeFor[fx.In](), reflect.TypeFor[*fx.Out](),
		reflect.TypeFor[struct{ *fx.In }](), reflect.TypeFor[struct{ *fx.Out }](), reflect.TypeFor[[]*part0](),
	}
	any1 := func(list []reflect.Type) reflect.Type {
		if r.IntN(40) == 0 {
			return rare[r.IntN(len(rare))]
		}
		return list[r.IntN(len(list))]
	}
	var constructors []any
	outs := slices.Clone(parts[:3])
	r.Shuffle(len(outs), func(i, j int) { outs[i], outs[j] = outs[j], outs[i] })
	for i := range 1 + r.IntN(4) {
		var ins []reflect.Type
		for range r.IntN(3) {
			in := any1(parts)
			if r.IntN(3) == 0 {
				in = object(r, any1(parts))
			}
			ins = append(ins, in)
		}
		out := reflect.TypeFor[mailer]()
		if i > 0 {
			out = outs[(i-1)%len(outs)]
		}
		results := []reflect.Type{out}
		switch r.IntN(30) {
		case 0:
			results = []reflect.Type{any1(parts)}
		case 1:
			results = append(results, any1(parts))
		case 2:
			results = append(results, rare[r.IntN(len(rare))])
		}
		if r.IntN(4) == 0 {
			results = append(results, reflect.TypeFor[error]())
		}
		variadic := r.IntN(20) == 0 && len(ins) > 0 && ins[len(ins)-1].Kind() == reflect.Slice
		made := reflect.MakeFunc(reflect.FuncOf(ins, results, variadic), func([]reflect.Value) []reflect.Value { return nil })
		constructors = append(constructors, made.Interface())
	}
	if r.IntN(40) == 0 {
		constructors = append(constructors, "not a function")
	}
	return constructors
}

// object returns a parameter object with one field.
func object(r *rand.Rand, t reflect.Type) reflect.Type {
	tags := []reflect.StructTag{"", "", "", `optional:"true"`, `optional:"true"`, `optional:"false"`, `optional:"maybe"`, `name:"x"`,
		`name:"x" optional:"true"`, `group:"g"`, `group:"g" optional:"true"`}
	in := reflect.StructField{Name: "In", Type: reflect.TypeFor[fx.In](), Anonymous: true}
	if r.IntN(10) == 0 {
		in.Tag = `ignore-unexported:"true"`
	}
	field := reflect.StructField{Name: "Field", Type: t, Tag: tags[r.IntN(len(tags))]}
	if r.IntN(15) == 0 {
		field.Name, field.PkgPath = "field", "p"
	}
	return reflect.StructOf([]reflect.StructField{in, field})
}

func types(constructors []any) (list []string) {
	for _, c := range constructors {
		list = append(list, fmt.Sprintf("%T", c))
	}
	return list
}
