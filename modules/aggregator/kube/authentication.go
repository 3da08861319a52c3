package kube

import (
	"fmt"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
	"github.com/detectviz/switchyard/modules/aggregator/kube/reviews"
)

// frontProxyHeaders says in which headers a front proxy tells who the user is. Only a peer with the front-proxy client
// certificate is believed.
func frontProxyHeaders(ca dynamiccertificates.CAContentProvider) *authenticatorfactory.RequestHeaderConfig {
	return &authenticatorfactory.RequestHeaderConfig{
		UsernameHeaders:     headerrequest.StaticStringSlice{"X-Remote-User"},
		UIDHeaders:          headerrequest.StaticStringSlice{"X-Remote-Uid"},
		GroupHeaders:        headerrequest.StaticStringSlice{"X-Remote-Group"},
		ExtraHeaderPrefixes: headerrequest.StaticStringSlice{"X-Remote-Extra-"},
		CAContentProvider:   ca,
		AllowedClientNames:  headerrequest.StaticStringSlice{pki.FrontProxyClientName},
	}
}

// identities is how the server learns who a client is.
type identities struct {
	request authenticator.Request // a client certificate, a front proxy's headers, or a bearer token
	tokens  authenticator.Token   // bearer tokens alone, for TokenReview
	headers *authenticatorfactory.RequestHeaderConfig
	// clientCA and frontProxyCA issue certificates of clients.
	clientCA, frontProxyCA dynamiccertificates.CAContentProvider
}

func newIdentities(m *pki.Material) (*identities, error) {
	clientCA, err := dynamiccertificates.NewStaticCAContent("client CA", m.CAPEM)
	if err != nil {
		return nil, fmt.Errorf("client CA %q: %w", m.ClientCAFile, err)
	}
	frontProxyCA, err := dynamiccertificates.NewStaticCAContent("front-proxy CA", m.FrontProxyCAPEM)
	if err != nil {
		return nil, fmt.Errorf("front-proxy CA %q: %w", m.FrontProxyCAFile, err)
	}
	file, err := tokenfile.NewCSV(m.TokensFile)
	if err != nil {
		return nil, fmt.Errorf("token file %q: %w", m.TokensFile, err)
	}
	i := &identities{
		clientCA:     clientCA,
		frontProxyCA: frontProxyCA,
		headers:      frontProxyHeaders(frontProxyCA),
	}
	i.tokens = group.NewTokenGroupAdder(file, []string{user.AllAuthenticated})
	known := union.New(
		headerrequest.NewDynamicVerifyOptionsSecure(frontProxyCA.VerifyOptions, i.headers.AllowedClientNames,
			i.headers.UsernameHeaders, i.headers.UIDHeaders, i.headers.GroupHeaders, i.headers.ExtraHeaderPrefixes),
		x509.NewDynamic(clientCA.VerifyOptions, x509.CommonNameUserConversion),
		bearertoken.New(file),
		websocket.NewProtocolAuthenticator(file),
	)
	var public []apiserver.AnonymousAuthCondition
	for _, path := range publicPaths() {
		public = append(public, apiserver.AnonymousAuthCondition{Path: path})
	}
	// A credential that is wrong is an error, not an anonymous request.
	i.request = union.NewFailOnError(group.NewAuthenticatedGroupAdder(known), anonymous.NewAuthenticator(public))
	return i, nil
}

// applyTo makes the server ask for client certificates and believe i.
func (i *identities) applyTo(config *genericapiserver.Config) error {
	for _, ca := range []dynamiccertificates.CAContentProvider{i.clientCA, i.frontProxyCA} {
		if err := config.Authentication.ApplyClientCert(ca, config.SecureServing); err != nil {
			return err
		}
	}
	config.Authentication.Authenticator = i.request
	config.Authentication.RequestHeaderConfig = i.headers
	return nil
}

// frontProxy is what backends are told.
func (i *identities) frontProxy() reviews.FrontProxy {
	return reviews.FrontProxy{
		ClientCA:            string(i.clientCA.CurrentCABundleContent()),
		CA:                  string(i.frontProxyCA.CurrentCABundleContent()),
		AllowedNames:        i.headers.AllowedClientNames.Value(),
		UsernameHeaders:     i.headers.UsernameHeaders.Value(),
		UIDHeaders:          i.headers.UIDHeaders.Value(),
		GroupHeaders:        i.headers.GroupHeaders.Value(),
		ExtraHeaderPrefixes: i.headers.ExtraHeaderPrefixes.Value(),
	}
}
