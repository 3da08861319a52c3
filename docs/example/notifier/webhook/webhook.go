// Package webhook implements a notifier that posts messages to a URL.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/notifier"
)

// Settings are what an app supplies.
type Settings struct {
	URL string // where messages are posted
}

type webhook struct {
	url    string
	client *http.Client
}

var _ notifier.Notifier = (*webhook)(nil)

func newWebhook(s Settings, client *http.Client) notifier.Notifier {
	return &webhook{url: s.URL, client: client}
}

// newClient runs when the module starts, and its hook when it stops: while the module is off there is no connection.
func newClient(lc fx.Lifecycle) *http.Client {
	transport := &http.Transport{}
	lc.Append(fx.StopHook(transport.CloseIdleConnections))
	return &http.Client{Transport: transport}
}

func (w *webhook) Notify(ctx context.Context, m notifier.Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("webhook %q: %w", w.url, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook %q: %w", w.url, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("webhook %q: %w", w.url, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("webhook %q: answered %s, allowed is 2xx", w.url, response.Status)
	}
	return nil
}
