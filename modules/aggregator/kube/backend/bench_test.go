package backend_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// BenchmarkProxy compares the proxy with a bare reverse proxy, on the same backend and client in turns, and prints the ratio
// of their times per request: above 1 we are slower.
func BenchmarkProxy(b *testing.B) {
	body := `{"kind":"Flunder","metadata":{"name":"a"},"spec":{"reference":"` + strings.Repeat("x", 250) + `"}}`
	f := newFixture(b, backend.TransportSettings{})
	target := f.serve(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	})
	ours := front(b, f.proxy(b, f.apiService(target.Port)), alice)

	cert, err := tls.LoadX509KeyPair(f.clientDir+"/client.crt", f.clientDir+"/client.key")
	if err != nil {
		b.Fatal(err)
	}
	plain := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: f.serving.Pool, ServerName: "wardle.example.com", Certificates: []tls.Certificate{cert},
	}}
	defer plain.CloseIdleConnections()
	location := &url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.1", portText(target.Port))}
	bare := front(b, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(location) },
		Transport: plain,
	}, alice)

	for _, connections := range []int{1, 16} {
		b.Run(map[int]string{1: "1", 16: "16"}[connections]+"-connections", func(b *testing.B) {
			var spent [2]atomic.Int64
			client := &http.Transport{MaxIdleConnsPerHost: connections}
			defer client.CloseIdleConnections()
			get := func(i int, url string) {
				began := time.Now()
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url+path+"/a", http.NoBody)
				if err != nil {
					b.Error(err)
					return
				}
				response, err := client.RoundTrip(r)
				if err != nil {
					b.Error(err)
					return
				}
				n, err := io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK || n != int64(len(body)) || err != nil {
					b.Errorf("got %d, %d bytes, %v", response.StatusCode, n, err)
				}
				spent[i].Add(int64(time.Since(began)))
			}
			get(0, ours.URL)
			get(1, bare.URL)
			spent[0].Store(0)
			spent[1].Store(0)
			for b.Loop() {
				b.StopTimer()
				for turn, server := range []string{ours.URL, bare.URL} {
					if turn == 0 {
						b.StartTimer()
					}
					done := make(chan struct{})
					for range connections {
						go func() { get(turn, server); done <- struct{}{} }()
					}
					for range connections {
						<-done
					}
					b.StopTimer()
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(spent[0].Load())/float64(spent[1].Load()), "×bare")
			b.ReportMetric(float64(spent[0].Load())/float64(b.N*connections)/1e3, "µs/req")
		})
	}
}
