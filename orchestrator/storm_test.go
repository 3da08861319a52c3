package orchestrator_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// goroutines polls until there are at most limit more or fewer than before.
func goroutines(t testing.TB, before, limit int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		now := runtime.NumGoroutine()
		if now-before <= limit && before-now <= limit {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines, before %d, want a difference of at most %d", now, before, limit)
			return
		}
	}
}

// 10,000 flips on five modules from several goroutines, while others plan, override and read: the states are those of the
// last flips soon afterwards, and far fewer transitions than flips were made.
func TestFlipStorm(t *testing.T) { // not parallel: it counts goroutines
	before := runtime.NumGoroutine()
	p := newPlant()
	j := &balance{}
	for _, name := range []string{"a", "b", "c", "d/v1", "d/v2", "e"} {
		p.when("start "+name, j.add(name, 1))
		p.when("stop "+name, j.add(name, -1))
	}
	p.build(t, orchestrator.New(),
		machineOf[nameA](p, "a", orchestrator.Requires("b")),
		machineOf[nameB](p, "b", orchestrator.Uses("c")),
		machineOf[nameC](p, "c", checked[nameC]()),
		machineOf[nameD](p, "d", append(twoVariants(), orchestrator.Requires("c"))...),
		machineOf[nameE](p, "e", orchestrator.Start(orchestrator.OnFirstUse)))
	p.app.RequireStart()
	running := runtime.NumGoroutine()
	const flippers, flips = 5, 2000
	var flipping sync.WaitGroup
	for range flippers {
		flipping.Go(func() {
			for range flips {
				name := []string{"a", "b", "c", "d", "e"}[rand.IntN(5)]
				p.turn(name, []string{"off", "on"}[rand.IntN(2)])
				if name == "d" {
					p.turn("d", []string{"off", "v1", "v2"}[rand.IntN(3)])
				}
				switch rand.IntN(50) {
				case 0:
					_, _ = p.orch.Plan(set("a", "on"))
				case 1:
					p.override(t, "b", []string{"on", "off"}[rand.IntN(2)], time.Millisecond)
				case 2:
					p.orch.Graph().DOT()
				}
			}
		})
	}
	flipping.Wait()
	p.turn("a", "on", "b", "on", "c", "on", "d", "v2", "e", "on")
	if err := p.orch.ClearOverride("b", "ann", ""); err != nil {
		t.Fatal(err)
	}
	last := time.Now()
	want := "a Running real, b Running real, c Running real, d Running v2, e Idle noop"
	for statesOf(p.orch.Status()) != want && time.Since(last) < 2*time.Second {
		runtime.Gosched()
	}
	if got := p.states(t); got != want || time.Since(last) > 2*time.Second {
		t.Errorf("states %q after %v, want %q within 2s", got, time.Since(last), want)
	}
	if got := p.makes.Load(); got > flippers*flips/2 {
		t.Errorf("%d copies were made for %d flips: they don't coalesce", got, flippers*flips)
	}
	goroutines(t, running, 10) // some hooks of health checks come and go
	p.app.RequireStop()
	goroutines(t, before, 2)
	j.check(t)
}

// balance counts what runs of each kind: never less than none, and in the end none.
type balance struct {
	mu  sync.Mutex
	now map[string]int
	bad []string
}

func (b *balance) add(name string, n int) func(context.Context) error {
	return func(context.Context) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.now == nil {
			b.now = map[string]int{}
		}
		if b.now[name] += n; b.now[name] < 0 {
			b.bad = append(b.bad, name+" was stopped twice")
		}
		return nil
	}
}

func (b *balance) check(t testing.TB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, n := range b.now {
		if n != 0 {
			b.bad = append(b.bad, fmt.Sprintf("%d of %s left", n, name))
		}
	}
	if len(b.bad) > 0 {
		t.Errorf("%q", b.bad)
	}
}

// 10,000 switches of one module, or what fits into ten seconds, leave nothing behind: no goroutine, and no memory.
func TestTenThousandSwitches(t *testing.T) { // not parallel: it counts goroutines and memory
	p := newPlant()
	p.start(t, orchestrator.New(), orchestrator.Module("a", orchestrator.Flag("a"),
		orchestrator.Export[pinger[nameA]](&noPing[nameA]{}, func(l *orchestrator.Live[pinger[nameA]]) pinger[nameA] { return livePing[nameA]{l} }),
		orchestrator.Provide(func(lc fx.Lifecycle, o *orchestrator.Owner) pinger[nameA] {
			o.Go("worker", func(ctx context.Context) error { <-ctx.Done(); return nil })
			lc.Append(fx.StartStopHook(func() {}, func() {}))
			return realPing[nameA]{}
		})))
	cycle := func() {
		p.turn("a", "on")
		p.settle(t)
		p.turn("a", "off")
		p.settle(t)
	}
	const all, warm = 10_000, 300 // what is bounded (history, events) is full when it is warm
	for range warm {
		cycle()
	}
	heapBefore, before, began := heap(), runtime.NumGoroutine(), time.Now()
	cycles := int64(0)
	for ; cycles < all-warm && time.Since(began) < 10*time.Second; cycles++ {
		cycle()
	}
	if grown := heap() - heapBefore; grown > 256<<10+64*cycles {
		t.Errorf("the heap has grown by %d bytes in %d cycles", grown, cycles)
	}
	goroutines(t, before, 2)
	if got := int64(p.explain(t, "a").Generation); got != warm+cycles || cycles < 500 { //nolint:gosec // thousands
		t.Errorf("generation %d after %d cycles", got, warm+cycles)
	}
}

func (p *plant) settle(t testing.TB) {
	t.Helper()
	if err := p.orch.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // bytes
}

// Two changes at a time, in every order and at once: the end is that of the flags alone, and the way there is known.
// m requires r, and has two variants.
func TestTwoChangesAtATime(t *testing.T) {
	t.Parallel()
	type change [2]string // flag, value
	for _, first := range []change{{"r", "off"}, {"r", "on"}, {"m", "off"}, {"m", "v1"}, {"m", "v2"}} {
		for _, second := range []change{{"r", "off"}, {"r", "on"}, {"m", "off"}, {"m", "v1"}, {"m", "v2"}} {
			if first[0] == second[0] {
				continue // one of them is the last; see TestFlipsCoalesceToTheLastValue
			}
			for _, from := range [][2]string{{"off", "off"}, {"off", "on"}, {"v1", "off"}, {"v1", "on"}, {"v2", "on"}} {
				flags := map[string]string{"m": from[0], "r": from[1]}
				flags[first[0]], flags[second[0]] = first[1], second[1]
				want := "m Off noop"
				switch {
				case flags["m"] != "off" && flags["r"] == "on":
					want = "m Running " + flags["m"]
				case flags["m"] != "off":
					want = "m Waiting noop"
				}
				want += map[string]string{"on": ", r Running real", "off": ", r Off noop"}[flags["r"]]
				for _, how := range []string{"at once", "one by one", "settled in between"} {
					t.Run(fmt.Sprintf("m %s, r %s/%v, %v, %s", from[0], from[1], first, second, how), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							p := newPlant("m", from[0], "r", from[1])
							p.start(t, seldom(), machineOf[nameA](p, "m", append(twoVariants(), orchestrator.Requires("r"))...), machineOf[nameB](p, "r"))
							last := p.orch.Events().Last()
							switch how {
							case "at once":
								p.turn(first[0], first[1], second[0], second[1])
							case "one by one":
								p.turn(first[0], first[1])
								p.turn(second[0], second[1])
							default:
								p.turn(first[0], first[1])
								p.settle(t)
								p.turn(second[0], second[1])
							}
							if got := p.states(t); got != want {
								t.Errorf("states %q, want %q", got, want)
							}
							if how == "at once" {
								story := p.story(t, last)
								if want, known := pathOf(from, flags); !known || !slices.Contains(want, story) {
									t.Errorf("story\n%q, want one of\n%q", story, want)
								}
							}
						})
					})
				}
			}
		}
	}
}

// pathOf is how two modules go from one pair of flags to another when both change at the same moment.
func pathOf(from [2]string, flags map[string]string) (stories []string, known bool) {
	to := [2]string{flags["m"], flags["r"]}
	ran := func(f [2]string) bool { return f[0] != "off" && f[1] == "on" }
	stop := func(name string) []string { return []string{name + " Draining", name + " Stopping", name + " Off"} }
	start := func(name string) []string { return []string{name + " Starting", name + " Running"} }
	rest := map[bool]string{true: "Off", false: "Waiting"}[to[0] == "off"]
	var story []string
	switch {
	case ran(from) && ran(to):
		if from[0] != to[0] {
			story = []string{"m replaced by " + to[0]}
		}
	case ran(from):
		story = append(stop("m"), "m "+rest)
		if to[1] == "off" {
			story = append(stop("m"), stop("r")...)
			if rest == "Waiting" { // in the same pass as, and after, the beginning of the end of r
				story = []string{"m Draining", "m Stopping", "m Off", "r Draining", "m Waiting", "r Stopping", "r Off"}
			}
		} else if rest == "Off" {
			story = stop("m")
		}
	case ran(to):
		if from[1] == "off" {
			story = start("r")
			if from[0] == "off" {
				story = []string{"r Starting", "m Waiting", "r Running"}
			}
		}
		story = append(story, start("m")...)
	default: // m rests before and after
		was := map[bool]string{true: "Off", false: "Waiting"}[from[0] == "off"]
		if from[1] == "off" && to[1] == "on" {
			story = append(story, "r Starting")
		} else if from[1] == "on" && to[1] == "off" {
			story = append(story, "r Draining")
		}
		if was != rest {
			story = append(story, "m "+rest)
		}
		if from[1] == "off" && to[1] == "on" {
			story = append(story, "r Running")
		} else if from[1] == "on" && to[1] == "off" {
			story = append(story, "r Stopping", "r Off")
		}
	}
	return []string{strings.Join(story, ", ")}, true
}

// A flag that flips while its module is in the middle of each step: the step that runs is finished or given up, and then
// the last value counts.
func TestFlipsInTheMiddleOfEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"start a/v1", "check a/v1", "drain a/v1", "stop a/v1", "start a/v2", "check a/v2"} {
		for _, end := range []string{"off", "v1", "v2"} {
			t.Run(step+" to "+end, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := newPlant()
					b := &balance{}
					var inside atomic.Int32
					slow := func(n int) func(context.Context) error {
						return func(ctx context.Context) error {
							inside.Add(1)
							select {
							case <-time.After(100 * time.Millisecond):
								return b.add("a", n)(ctx)
							case <-ctx.Done():
								return ctx.Err()
							}
						}
					}
					for _, v := range []string{"v1", "v2"} {
						p.when("start a/"+v, b.add("a", 1))
						p.when("stop a/"+v, b.add("a", -1))
					}
					p.when(step, slow(map[string]int{"start": 1, "stop": -1}[strings.Fields(step)[0]]))
					p.start(t, orchestrator.New(), machineOf[nameA](p, "a", append(twoVariants(), checked[nameA]())...))
					p.turn("a", "v1")
					p.turn("a", "v1")
					if !strings.HasSuffix(step, "v1") || strings.HasPrefix(step, "drain") || strings.HasPrefix(step, "stop") {
						p.settle(t)
						p.turn("a", "v2")
					}
					for inside.Load() == 0 {
						time.Sleep(time.Millisecond)
					}
					for i := range 100 {
						p.turn("a", []string{"off", "v1", "v2"}[i%3])
					}
					p.turn("a", end)
					want := "a Running " + end
					if end == "off" {
						want = "a Off noop"
					}
					if got := p.states(t); got != want {
						t.Errorf("states %q, want %q", got, want)
					}
					p.turn("a", "off")
					p.settle(t)
					b.check(t)
				})
			})
		}
	}
}
