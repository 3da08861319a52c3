// Package pki makes and keeps the certificates of the aggregator: everything that its TLS port, its clients, its backends
// and its proxy need, in one private directory, without any tool or network.
//
// There are two certificate authorities, because they vouch for different things:
//
//	CA (ca.crt)                        front-proxy CA (front-proxy-ca.crt)
//	├── serving      (TLS port)        └── front-proxy-client (the proxy, towards backends: only who holds this
//	├── loopback     (in process)          certificate may say "this request is from user X")
//	├── admin        (system:masters)
//	└── backend      (system:switchyard:backends)
//
// Ensure is called at every start. On the first it makes all of it; later it reads what is there, and issues again only the
// leaves that need it: expired or about to, not parseable, not matching their key or CA, or lacking a name. A CA is never
// replaced: clients trust it by copy, so a damaged one is an error that the operator decides about.
//
// Files in the directory (0700); everything but public certificates is 0600:
//
//	ca.crt ca.key client-ca.crt        client-ca.crt is the public CA for client certificates, a copy of ca.crt
//	front-proxy-ca.crt front-proxy-ca.key front-proxy-client.crt front-proxy-client.key
//	serving.crt serving.key loopback.crt loopback.key admin.crt admin.key backend.crt backend.key
//	admin.kubeconfig backend.kubeconfig  written by Material.WriteKubeconfigs, once the address is known
//	tokens.csv                         token,user,uid,"group1,group2": one random administrator token, made once
//
// Each file is written to a temporary name, synced and renamed, so that a reader never sees half of one.
package pki
