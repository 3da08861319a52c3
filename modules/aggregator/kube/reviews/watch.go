package reviews

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
)

// minWatchDuration is how long a watch without timeoutSeconds lasts at least; up to twice as long, so that clients that
// came together do not come back together. It is what API servers do by default.
const minWatchDuration = 30 * time.Minute

// watch sends the objects that the client does not have yet and then nothing, since the collections do not change. It
// returns when the client leaves, the timeout passes or the Handler's Done closes.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, c collection, namespace string, s selection) {
	initial := s.options.SendInitialEvents != nil && *s.options.SendInitialEvents
	if !initial {
		switch s.options.ResourceVersion {
		case "", "0":
			initial = s.options.SendInitialEvents == nil
		case c.version:
		default:
			h.fail(w, r, apierrors.NewResourceExpired("the collection changed; list it again"))
			return
		}
	}
	var events []watch.Event
	if initial {
		for _, item := range c.selectItems(namespace, s.labels, s.fields) {
			events = append(events, watch.Event{Type: watch.Added, Object: item})
		}
	}
	if s.options.SendInitialEvents != nil && *s.options.SendInitialEvents && s.options.AllowWatchBookmarks {
		bookmark, err := c.bookmark()
		if err != nil {
			h.fail(w, r, apierrors.NewInternalError(err))
			return
		}
		events = append(events, watch.Event{Type: watch.Bookmark, Object: bookmark})
	}
	stream, err := h.newStream(w, r, c)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if err := stream.send(events); err != nil {
		return // the client left
	}
	timeout := time.Duration(float64(minWatchDuration) * (1 + rand.Float64())) //nolint:gosec // It spreads load; it is no secret.
	if s.options.TimeoutSeconds != nil && *s.options.TimeoutSeconds > 0 {
		timeout = time.Duration(*s.options.TimeoutSeconds) * time.Second
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
	case <-h.config.Done:
	case <-timer.C:
	}
}

// stream writes watch events in the encoding that the client asked for.
type stream struct {
	flush  func() error
	out    io.Writer       // adds the framing of the encoding
	frame  runtime.Encoder // of an event
	object runtime.Encoder // of the object in it
}

func (h *Handler) newStream(w http.ResponseWriter, r *http.Request, c collection) (*stream, error) {
	info, err := negotiation.NegotiateOutputMediaTypeStream(r, h.codecs, plainObjects{})
	if err != nil {
		return nil, err
	}
	gv := c.kind.GroupVersion()
	s := &stream{
		flush:  http.NewResponseController(w).Flush,
		out:    info.StreamSerializer.NewFrameWriter(w),
		frame:  h.codecs.EncoderForVersion(info.StreamSerializer.Serializer, gv),
		object: h.codecs.EncoderForVersion(info.Serializer, gv),
	}
	mediaType := info.MediaType
	if mediaType != runtime.ContentTypeJSON {
		mediaType += ";stream=watch"
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusOK)
	return s, nil
}

func (s *stream) send(events []watch.Event) error {
	for _, event := range events {
		var raw bytes.Buffer
		if err := s.object.Encode(event.Object, &raw); err != nil {
			return err
		}
		frame := &metav1.WatchEvent{Type: string(event.Type), Object: runtime.RawExtension{Raw: raw.Bytes()}}
		if err := s.frame.Encode(frame, s.out); err != nil {
			return err
		}
	}
	return s.flush()
}
