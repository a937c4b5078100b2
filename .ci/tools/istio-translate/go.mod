module istio-translate

go 1.26.0

// The one of istio.sh, which resolves the rest when it builds.
require istio.io/istio v0.0.0-20260827124520-eed52ebb66ad
