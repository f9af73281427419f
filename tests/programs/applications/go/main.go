// Go's net/http on the port it is given.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s", r.URL.Query().Get("name")) })
	mux.HandleFunc("/form", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "form %s", r.FormValue("name")) })
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) { digest(w, r.Body) })
	mux.HandleFunc("/multipart", func(w http.ResponseWriter, r *http.Request) {
		file, _, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		digest(w, file)
	})
	mux.HandleFunc("/download/", func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/download/"))
		w.Header().Set("Content-Type", "application/octet-stream")
		io.CopyN(w, repeat{}, int64(size))
	})
	mux.HandleFunc("/cookies", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "one", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "two", Value: "2"})
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, r.Header.Get("Cookie"))
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		for r.Context().Err() == nil {
			if _, err := os.Stat(r.URL.Query().Get("until")); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		io.WriteString(w, "data: last\n\n")
	})
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"ip": r.Header.Get("X-Forwarded-For"), "protocol": r.Header.Get("X-Forwarded-Proto"), "host": r.Host, "url": r.URL.RequestURI()})
	})
	mux.HandleFunc("/fail", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "on purpose", http.StatusInternalServerError) })
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		<-ended
		server.Shutdown(context.Background())
		close(finished)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-finished
}

type repeat struct{}

func (repeat) Read(buffer []byte) (int, error) {
	for i := range buffer {
		buffer[i] = 'x'
	}
	return len(buffer), nil
}

func digest(w io.Writer, body io.Reader) {
	sum := sha256.New()
	io.Copy(sum, body)
	fmt.Fprintf(w, "%x", sum.Sum(nil))
}
