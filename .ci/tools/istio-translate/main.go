// Command istio-translate writes what istiod would tell the sidecar proxy of a workload, or an ingress gateway, without a cluster:
// listeners and clusters, out of Istio resources and a mesh configuration, by Istio's own generator. For the tests of deploy/istio.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	// Every message an Envoy configuration may hold, so that it prints as JSON.
	_ "istio.io/istio/pkg/config/xds"

	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/protocol"
	"istio.io/istio/pkg/test"
)

func main() {
	meshFile := flag.String("mesh", "", "mesh configuration (YAML)")
	namespace := flag.String("namespace", "default", "of the workload")
	app := flag.String("app", "", "its label app, and the name of its Service; none: the gateway with the label istio: ingressgateway")
	port := flag.Int("port", 8080, "its HTTP port, 80 in the Service")
	output := flag.String("out", "", "file for the result (JSON): Istio logs to standard output")
	flag.Parse()

	meshConfig := mesh.DefaultMeshConfig()
	if *meshFile != "" {
		text, err := os.ReadFile(*meshFile)
		check(err)
		meshConfig, err = mesh.ApplyMeshConfigDefaults(string(text))
		check(err)
	}
	var resources []string
	for _, file := range flag.Args() {
		text, err := os.ReadFile(file)
		check(err)
		resources = append(resources, string(text))
	}
	check(test.Wrap(func(t test.Failer) {
		translate(t, meshConfig, strings.Join(resources, "\n---\n"), *namespace, *app, *port, *output)
	}))
}

func translate(t test.Failer, meshConfig *meshv1alpha1.MeshConfig, resources, namespace, app string, port int, output string) {
	const address = "10.0.0.1"
	labels := map[string]string{"app": app}
	service := &model.Service{
		Hostname:       host.Name(app + "." + namespace + ".svc.cluster.local"),
		DefaultAddress: "10.96.0.80",
		Ports:          model.PortList{{Name: "http", Port: 80, Protocol: protocol.HTTP}},
		Attributes:     model.ServiceAttributes{Name: app, Namespace: namespace},
	}
	instance := &model.ServiceInstance{
		Service:     service,
		ServicePort: service.Ports[0],
		Endpoint: &model.IstioEndpoint{
			Addresses:       []string{address},
			EndpointPort:    uint32(port),
			ServicePortName: "http",
			Labels:          labels,
			Namespace:       namespace,
		},
	}
	options := core.TestOptions{ConfigString: resources, MeshConfig: meshConfig}
	node := &model.Proxy{
		Type:            model.Router,
		ConfigNamespace: namespace,
		IPAddresses:     []string{address},
		Labels:          map[string]string{"istio": "ingressgateway"},
	}
	if app != "" {
		options.Services = []*model.Service{service}
		options.Instances = []*model.ServiceInstance{instance}
		node.Type, node.Labels = model.SidecarProxy, labels
	}
	node.Metadata = &model.NodeMetadata{Namespace: namespace, Labels: node.Labels}
	generated := core.NewConfigGenTest(t, options)
	proxy := generated.SetupProxy(node)
	out := map[string][]json.RawMessage{}
	add := func(kind string, message proto.Message) {
		text, err := protojson.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = append(out[kind], text)
	}
	for _, listener := range generated.Listeners(proxy) {
		add("listeners", listener)
	}
	for _, cluster := range generated.Clusters(proxy) {
		add("clusters", cluster)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(output, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
