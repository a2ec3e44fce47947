// The stub model server and TLS client of the cluster tests; the standard library only.
module hybridge.dev/tests/cluster/stub

go 1.26
