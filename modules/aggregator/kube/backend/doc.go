// Package backend reaches the API servers that APIServices refer to.
//
//	request ──▶ Proxy ──▶ Resolver       which host, port and certificate name: APIService + ExternalName
//	              │
//	              └─────▶ Transport      one per TLS identity, shared (Transports); our front-proxy certificate
//	                          │
//	                          └──▶ Dialer   refuses addresses inside the host's own neighbourhood; knows all connections
//
// The availability controller uses the same three without the Proxy, so that a check sees what a request will see.
//
// Words: an endpoint is an address and the name that its certificate must carry. An identity is what a TLS connection
// verifies and presents. Our identity towards a backend is the front-proxy client certificate; the identity of the user goes
// in X-Remote-* headers, which a backend believes for the sake of that certificate.
package backend
