// Command stub stands in for an upstream, and for a client of one, in a container without a shell.
//
//	stub [serve] --host 0.0.0.0 --port 8000   /health, /v1/models, /stream?lines=8, /client: who the sidecar says
//	                                          it is; GET /fail ends its health; /file?name=PATH and
//	                                          /sha256?name=PATH: what a file holds
//	stub get [--cacert FILE] URL...           prints "GROUP STATUS BODY" for each; exit code 1 without a response;
//	                                          with --resumption "resumed" or "full" before the body; takes
//	                                          --name, --cert and --key, --header NAME=VALUE, and
//	                                          --resolve HOST:PORT:ADDRESS as curl does
//	stub pause                                holds a pod's namespaces
//	stub flood COUNT HOST:PORT PATH           opens COUNT requests and holds them until it is stopped
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	words := os.Args[1:]
	switch {
	case len(words) > 0 && words[0] == "pause":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
	case len(words) > 0 && words[0] == "get":
		get(words[1:])
	case len(words) == 4 && words[0] == "flood":
		count, err := strconv.Atoi(words[1])
		check(err)
		flood(count, words[2], words[3])
	default:
		if len(words) > 0 && words[0] == "serve" {
			words = words[1:]
		}
		serve(words)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Options of the servers that it stands in for are accepted and ignored.
func serve(words []string) {
	host, port := "0.0.0.0", "8000"
	for at, word := range words {
		name, value, joined := strings.Cut(word, "=")
		if !joined && at+1 < len(words) {
			value = words[at+1]
		}
		switch name {
		case "--host":
			host = value
		case "--port":
			port = value
		}
	}
	var failing atomic.Bool
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/fail", func(http.ResponseWriter, *http.Request) { failing.Store(true) })
	http.HandleFunc("/v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"object":"list","data":[{"id":"stub","object":"model"}]}`)
	})
	http.HandleFunc("/client", func(w http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(w, "%q\n", request.Header.Values("x-forwarded-client-cert"))
	})
	http.HandleFunc("/stream", stream)
	http.HandleFunc("/file", func(w http.ResponseWriter, request *http.Request) {
		copyFile(w, w, request)
	})
	http.HandleFunc("/sha256", func(w http.ResponseWriter, request *http.Request) {
		digest := sha256.New()
		copyFile(digest, w, request)
		fmt.Fprintf(w, "%x\n", digest.Sum(nil))
	})
	// As vLLM does: only that the sidecar does not set it makes a second listener fail.
	reuse := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, 15, 1) })
	}}
	listener, err := reuse.Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
	check(err)
	fmt.Println("listening on", listener.Addr())
	check(http.Serve(listener, nil))
}

func copyFile(to io.Writer, w http.ResponseWriter, request *http.Request) {
	file, err := os.Open(request.URL.Query().Get("name"))
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	defer file.Close()
	if _, err := io.Copy(to, file); err != nil {
		fmt.Fprintln(w, err)
	}
}

func stream(w http.ResponseWriter, request *http.Request) {
	lines, err := strconv.Atoi(request.URL.Query().Get("lines"))
	if err != nil {
		lines = 8
	}
	for line := range lines {
		fmt.Fprintf(w, "data: %d\n\n", line)
		w.(http.Flusher).Flush()
		time.Sleep(250 * time.Millisecond)
	}
}

func get(words []string) {
	flags := flag.NewFlagSet("get", flag.ExitOnError)
	ca := flags.String("cacert", "", "PEM file of the CA; without it the certificate is not verified")
	name := flags.String("name", "", "name to verify instead of the URL's host")
	resolve := flags.String("resolve", "", "HOST:PORT:ADDRESS to dial instead of what the name means")
	chain := flags.String("cert", "", "PEM file of the client's own certificate")
	key := flags.String("key", "", "PEM file of its key")
	header := flags.String("header", "", "NAME=VALUE of a field to send")
	resumption := flags.Bool("resumption", false, "one connection for each URL, and whether it was resumed")
	check(flags.Parse(words))
	settings := &tls.Config{ServerName: *name, InsecureSkipVerify: *ca == ""}
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		check(err)
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM(pem)
	}
	if *resumption {
		settings.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}
	if *chain != "" {
		pair, err := tls.LoadX509KeyPair(*chain, *key)
		check(err)
		settings.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: settings, DisableKeepAlives: *resumption}
	if parts := strings.SplitN(*resolve, ":", 3); len(parts) == 3 {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(parts[2], parts[1]))
		}
	}
	client := http.Client{Transport: transport, Timeout: 30 * time.Second}
	for _, url := range flags.Args() {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		check(err)
		if name, value, given := strings.Cut(*header, "="); given {
			request.Header.Set(name, value)
		}
		response, err := client.Do(request)
		check(err)
		body, err := io.ReadAll(response.Body)
		check(err)
		group, text := "plaintext", strings.TrimSpace(string(body))
		if response.TLS != nil {
			group = response.TLS.CurveID.String()
			if *resumption {
				text = map[bool]string{true: "resumed ", false: "full "}[response.TLS.DidResume] + text
			}
		}
		fmt.Println(group, response.StatusCode, text)
	}
}

func flood(count int, address, path string) {
	for range count {
		connection, err := net.DialTimeout("tcp", address, 5*time.Second)
		check(err)
		fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nhost: flood\r\n\r\n", path)
		go io.Copy(io.Discard, connection)
	}
	fmt.Println("holding", count)
	time.Sleep(10 * time.Minute)
}
