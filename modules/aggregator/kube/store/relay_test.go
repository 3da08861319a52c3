package store_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

func TestRelay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200<<10)
	for _, tt := range []struct{ name, in, want, words string }{
		{"record",
			`{"level":"warn","ts":1.5,"caller":"a/b.go:1","msg":"slow","took":"1s"}` + "\n",
			`level=WARN msg=slow caller=a/b.go:1 took=1s` + "\n", ""},
		{"info", `{"level":"info","msg":"m"}` + "\n", "level=INFO msg=m\n", ""},
		{"an error is reported by whoever handles it",
			`{"level":"error","msg":"m","error":"e"}` + "\n", "level=WARN msg=m error=e\n", "m: e"},
		{"fatal wins over later errors",
			`{"level":"fatal","msg":"f","error":"no space left on device"}` + "\n" + `{"level":"error","msg":"m"}` + "\n",
			"level=WARN msg=f error=\"no space left on device\"\nlevel=WARN msg=m\n", "f: no space left on device"},
		{"panic of the runtime",
			"panic: boom [recovered]\n\ngoroutine 1 [running]:\n",
			"level=DEBUG msg=\"store process wrote\" text=\"panic: boom [recovered]\"\n" +
				"level=DEBUG msg=\"store process wrote\" text=\"\"\n" +
				"level=DEBUG msg=\"store process wrote\" text=\"goroutine 1 [running]:\"\n",
			"panic: boom [recovered]"},
		{"JSON that is no record", `{"a":1}` + "\n", `level=DEBUG msg="store process wrote" text="{\"a\":1}"` + "\n", ""},
		{"no newline at the end", `{"level":"info","msg":"m"}`, "level=INFO msg=m\n", ""},
		{"a line without end is cut, the next one is whole",
			long + "\n" + `{"level":"info","msg":"m"}` + "\n",
			"level=DEBUG msg=\"store process wrote\" text=" + long[:64<<10] + "\nlevel=INFO msg=m\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug,
				ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				}}))
			words := store.Relay([]byte(tt.in), log)
			if got := out.String(); got != tt.want {
				t.Errorf("log: got %.300q, want %.300q", got, tt.want)
			}
			if words != tt.words {
				t.Errorf("last words: got %q, want %q", words, tt.words)
			}
		})
	}
}

func FuzzRelay(f *testing.F) {
	f.Add([]byte(`{"level":"error","msg":"m","error":{"a":[1]}}`))
	f.Add([]byte("panic: x\n{\n"))
	f.Fuzz(func(_ *testing.T, in []byte) { store.Relay(in, slog.New(slog.DiscardHandler)) })
}

func TestClassify(t *testing.T) {
	t.Parallel()
	db, wal := filepath.Join("data", "member", "snap", "db"), filepath.Join("data", "member", "wal")
	for _, tt := range []struct{ name, output, cause, path string }{
		{"disk full while committing", "failed to commit tx: write data/member/snap/db: no space left on device", "disk full", ""},
		{"limit of file size", "write-ahead log: write 0.wal: file too large", "disk full", ""},
		{"full disk wins over what it breaks", "wal: write failed: no space left on device", "disk full", ""},
		{"database", "failed to open database: invalid database", "corrupt", db},
		{"fault in the mapped database", "unexpected fault address 0x7f", "corrupt", db},
		{"log", "walpb: crc mismatch", "corrupt", wal},
		{"anything else", "panic: boom", "unknown", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if cause, path := store.Classify(tt.output); cause != tt.cause || path != tt.path {
				t.Errorf("got %q %q, want %q %q", cause, path, tt.cause, tt.path)
			}
		})
	}
}

func TestRestartPolicy(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	policy := store.RestartPolicy{MinBackoff: 100 * ms, MaxBackoff: 300 * ms, MaxFailures: 4, Window: time.Minute}
	for _, tt := range []struct {
		name string
		ends []time.Duration
		want []time.Duration
	}{
		{"the first is immediate", []time.Duration{0}, []time.Duration{0}},
		{"backoff up to the maximum, then giving up", []time.Duration{0, 1, 2, 3, 4}, []time.Duration{0, 100 * ms, 200 * ms, 300 * ms, -1}},
		{"rare ends never add up",
			[]time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute}, []time.Duration{0, 0, 0, 0, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := store.Waits(policy, tt.ends...); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
