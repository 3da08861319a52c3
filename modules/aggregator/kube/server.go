package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"

	"github.com/detectviz/switchyard/modules/aggregator"
)

// unwindTimeout bounds the undoing of a start that failed.
const unwindTimeout = 10 * time.Second

// Server is an API aggregator. It is started once and stopped once; to start again, make a new one, which finds the
// objects and certificates of the one before in the data directory. All methods are safe for concurrent use.
type Server struct {
	settings Settings
	log      *slog.Logger

	life     sync.Mutex // held by Start and Stop
	started  bool
	undo     []step
	stopping context.Context // ends when Stop is called
	stop     context.CancelFunc

	live atomic.Pointer[live] // nil while the server does not serve

	done   chan struct{}
	finish sync.Once
	err    error // valid once done is closed
}

var _ aggregator.Aggregator = (*Server)(nil)

// step is one thing that was started, and how to undo it.
type step struct {
	name string
	undo func(context.Context) error
}

// live is what requests need while the server serves.
type live struct {
	api        *api
	address    string
	kubeconfig string
}

// New checks the settings and returns a Server. It opens and starts nothing. Zero settings take their defaults.
func New(settings Settings, log *slog.Logger) (*Server, error) {
	settings, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	s := &Server{settings: settings, log: log, done: make(chan struct{})}
	s.stopping, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Start opens the port, the data directory and the store, and returns when the server is ready. ctx bounds the start, not
// the life of the server. When Start fails, everything that it had started is stopped again before it returns.
func (s *Server) Start(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.started || s.stopping.Err() != nil {
		return errors.New("an aggregator can be started only once: make a new one")
	}
	s.started = true
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)() //nolint:contextcheck // Stop ends a start, too.

	began := time.Now()
	l, err := s.start(starting)
	if err != nil {
		unwinding, cancel := context.WithTimeout(context.WithoutCancel(ctx), unwindTimeout)
		defer cancel()
		err = errors.Join(err, s.unwind(unwinding))
		s.end(err)
		return err
	}
	s.live.Store(l)
	s.log.Info("aggregator is ready", "address", l.address, "kubeconfig", l.kubeconfig, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// Drain ends the watches, streams and upgraded connections of clients in an orderly way, and from then on refuses new
// requests on the port with a 503 Status. It returns when those have ended, after two seconds, or with ctx's error. Requests
// that are short by nature go on; those that still do when the shutdown timeout, which begins here, ends are cut. Before
// Start it does nothing.
func (s *Server) Drain(ctx context.Context) error {
	l := s.live.Load()
	if l == nil {
		return nil
	}
	l.api.drainer.beginDrain()
	if err := l.api.drainer.waitClients(ctx); err != nil {
		return fmt.Errorf("draining the aggregator: %w", err)
	}
	return nil
}

// Stop ends the server and waits for all of it: goroutines, connections, the port, the store's process. Requests in flight
// get the shutdown timeout to finish. A start in progress is given up. When ctx ends first, Stop returns an error that
// says what is left. It may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.stop()
	s.life.Lock()
	defer s.life.Unlock()
	began := time.Now()
	running := s.live.Swap(nil) != nil
	err := s.unwind(ctx)
	s.end(nil)
	if running {
		s.log.Info("aggregator has stopped", "took", time.Since(began).Round(time.Millisecond))
	}
	return err
}

// Done is closed when the server has ended: it failed while it ran, or Stop has returned.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the server ended by itself. It is nil while it runs and after Stop. A server that failed must still be
// stopped.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Addr is the address of the TLS port, with the real port number; "" while the server does not serve.
func (s *Server) Addr() string {
	if l := s.live.Load(); l != nil {
		return l.address
	}
	return ""
}

// Kubeconfig is the path of the administrator's kubeconfig; "" while the server does not serve.
func (s *Server) Kubeconfig() string {
	if l := s.live.Load(); l != nil {
		return l.kubeconfig
	}
	return ""
}

// ServeHTTP serves a request that came in on another port of this process, with the same authentication and authorization
// as on the server's own: a bearer token, or none for the public paths. Identity headers are believed only together with a
// certificate of the front-proxy CA, which a request without TLS does not have.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := s.live.Load()
	if l == nil {
		refuse(w)
		return
	}
	l.api.generic.Handler.ServeHTTP(w, r)
}

// Services lists the registered services, sorted by name, from memory.
func (s *Server) Services(context.Context) ([]aggregator.Service, error) {
	l := s.live.Load()
	if l == nil {
		return nil, errors.New("the aggregator is not running")
	}
	registered, err := l.api.services.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("listing APIServices: %w", err)
	}
	found := l.api.backends.verdicts()
	services := make([]aggregator.Service, 0, len(registered))
	for _, r := range registered {
		service := describeService(r)
		if v, ok := found[r.Name]; ok {
			// What this process sees; the stored condition may be another replica's.
			service.Available, service.Reason, service.Message, service.Since = v.Available, v.Reason, v.Message, v.Since
		}
		services = append(services, service)
	}
	slices.SortFunc(services, func(a, b aggregator.Service) int { return strings.Compare(a.Name, b.Name) })
	return services, nil
}

func describeService(r *apiregistration.APIService) aggregator.Service {
	service := aggregator.Service{Name: r.Name, Group: r.Spec.Group, Version: r.Spec.Version, Reason: "Unknown"}
	if ref := r.Spec.Service; ref != nil {
		service.Backend = ref.Namespace + "/" + ref.Name
	}
	if c := helper.GetAPIServiceConditionByType(r, apiregistration.Available); c != nil {
		service.Available = c.Status == apiregistration.ConditionTrue
		service.Reason, service.Message, service.Since = c.Reason, c.Message, c.LastTransitionTime.Time
	}
	return service
}

// fail reports that the running server can't go on. The first report counts.
func (s *Server) fail(err error) {
	if s.stopping.Err() == nil {
		s.end(err)
	}
}

func (s *Server) end(err error) {
	s.finish.Do(func() {
		s.err = err
		close(s.done)
	})
}

// push remembers how to undo a step.
func (s *Server) push(name string, undo func(context.Context) error) {
	s.undo = append(s.undo, step{name, undo})
}

// unwind undoes all steps, the last one first. A step that fails does not keep the others from being undone.
func (s *Server) unwind(ctx context.Context) error {
	var problems []error
	for _, done := range slices.Backward(s.undo) {
		if err := done.undo(ctx); err != nil {
			problems = append(problems, fmt.Errorf("stopping the %s: %w", done.name, err))
		}
	}
	s.undo = nil
	return errors.Join(problems...)
}

// hostOf returns the host of a validated listen address.
func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}
