package orchestrator_test

import (
	"encoding/json"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// The order is that of the edges, not of the names; names may hold what means something to Graphviz and to Mermaid.
func TestGraph(t *testing.T) {
	t.Parallel()
	p := newPlant("end", "on", "api/v1", "v2", "store.main", "on")
	p.start(t, seldom(),
		machineOf[nameA](p, "api/v1", append(twoVariants(), orchestrator.Requires("store.main"), orchestrator.Uses("web-ui", "zebra"))...),
		machineOf[nameB](p, "end", orchestrator.Requires("web-ui"), orchestrator.Uses("web-ui", "store.main")),
		machineOf[nameC](p, "store.main"),
		machineOf[nameD](p, "web-ui"),
		orchestrator.Module("zebra", orchestrator.Flag("stripes"), orchestrator.Export[auditor](&noAudit{}, newLiveAuditor),
			orchestrator.Export[mailer](&noMail{}, newLiveMailer),
			orchestrator.Options(fx.Invoke(func(pinger[nameC]) {})), orchestrator.Import[pinger[nameC]](),
			orchestrator.Provide(func() (auditor, mailer) { return nil, nil })))
	p.states(t)
	g := p.orch.Graph()
	body, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	const pkg = "orchestrator_test.pinger[github.com/detectviz/switchyard/orchestrator_test."
	if want := `{"nodes":[` +
		`{"name":"store.main","state":"Running","implementation":"real","flag":"store.main","exports":["` + pkg + `nameC]"]},` +
		`{"name":"web-ui","state":"Off","implementation":"noop","flag":"web-ui","exports":["` + pkg + `nameD]"]},` +
		`{"name":"zebra","state":"Off","implementation":"noop","flag":"stripes","exports":["orchestrator_test.auditor","orchestrator_test.mailer"]},` +
		`{"name":"api/v1","state":"Running","implementation":"v2","flag":"api/v1","exports":["` + pkg + `nameA]"]},` +
		`{"name":"end","state":"Waiting","implementation":"noop","flag":"end","exports":["` + pkg + `nameB]"]}],` +
		`"edges":[` +
		`{"from":"api/v1","to":"store.main","kind":"requires"},` +
		`{"from":"api/v1","to":"web-ui","kind":"uses"},` +
		`{"from":"api/v1","to":"zebra","kind":"uses"},` +
		`{"from":"end","to":"store.main","kind":"uses"},` +
		`{"from":"end","to":"web-ui","kind":"requires"},` +
		`{"from":"zebra","to":"store.main","kind":"uses"}]}`; string(body) != want {
		t.Errorf("JSON\n%s\nwant\n%s", body, want)
	}
	if got, want := g.DOT(), `digraph modules {
  rankdir=LR;
  node [shape=box];
  "store.main" [label="store.main\nRunning"];
  "web-ui" [label="web-ui\nOff", color=gray, fontcolor=gray];
  "zebra" [label="zebra\nOff", color=gray, fontcolor=gray];
  "api/v1" [label="api/v1\nRunning"];
  "end" [label="end\nWaiting", color=gray, fontcolor=gray];
  "api/v1" -> "store.main";
  "api/v1" -> "web-ui" [style=dashed];
  "api/v1" -> "zebra" [style=dashed];
  "end" -> "store.main" [style=dashed];
  "end" -> "web-ui";
  "zebra" -> "store.main" [style=dashed];
}
`; got != want {
		t.Errorf("DOT\n%s\nwant\n%s", got, want)
	}
	if got, want := g.Mermaid(), `flowchart LR
  m0["store.main<br/>Running"]
  m1["web-ui<br/>Off"]
  m2["zebra<br/>Off"]
  m3["api/v1<br/>Running"]
  m4["end<br/>Waiting"]
  m3 --> m0
  m3 -.-> m1
  m3 -.-> m2
  m4 -.-> m0
  m4 --> m1
  m2 -.-> m0
`; got != want {
		t.Errorf("Mermaid\n%s\nwant\n%s", got, want)
	}
}

// Every dependency comes before what depends on it, and a graph without edges is sorted by name.
func TestGraphOrder(t *testing.T) {
	t.Parallel()
	p := newPlant()
	p.build(t, seldom(),
		machineOf[nameF](p, "f"), machineOf[nameE](p, "e"),
		machineOf[nameA](p, "a", orchestrator.Requires("b", "c")),
		machineOf[nameB](p, "b", orchestrator.Uses("d")),
		machineOf[nameC](p, "c", orchestrator.Requires("d")),
		machineOf[nameD](p, "d"))
	g := p.orch.Graph()
	var order string
	at := map[string]int{}
	for i, n := range g.Nodes {
		order += n.Name
		at[n.Name] = i
	}
	if order != "dbcaef" {
		t.Errorf("order %q, want dbcaef", order)
	}
	for _, e := range g.Edges {
		if at[e.To] >= at[e.From] {
			t.Errorf("%s comes before %s, which it depends on", e.From, e.To)
		}
	}
}
