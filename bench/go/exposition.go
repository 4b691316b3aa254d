// The same series as bench/exposition.py makes, in client_golang: prints a port, then for every line on standard input
// the CPU milliseconds (user and system) that one GET of /metrics took, encoding it included.
package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	metrics = 50
	ports   = 20
)

func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

func main() {
	series, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	registry := prometheus.NewRegistry()
	for metric := 0; metric < metrics; metric++ {
		gauge := prometheus.NewGaugeVec(
			prometheus.GaugeOpts{Name: fmt.Sprintf("fleet_metric_%d", metric)},
			[]string{"ifIndex", "ifName", "instance", "job"},
		)
		registry.MustRegister(gauge)
		for host := 0; host < series/metrics/ports; host++ {
			for port := 0; port < ports; port++ {
				labels := []string{strconv.Itoa(port), fmt.Sprintf("GigabitEthernet0/%d", port), fmt.Sprintf("sw%d", host), "if_mib"}
				gauge.WithLabelValues(labels...).Set(float64(int64(rand.ExpFloat64() * 1e9)))
			}
		}
	}
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
	server := httptest.NewServer(handler)
	defer server.Close()
	fmt.Println("ready", runtime.Version())
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		recorder := &sink{header: http.Header{}}
		request := httptest.NewRequest("GET", "/metrics", nil)
		before := cpu()
		handler.ServeHTTP(recorder, request)
		fmt.Println(cpu()-before, recorder.size)
	}
}

// sink counts what is written to it.
type sink struct {
	header http.Header
	size   int
}

func (s *sink) Header() http.Header  { return s.header }
func (s *sink) WriteHeader(int)      {}
func (s *sink) Write(p []byte) (int, error) {
	s.size += len(p)
	return io.Discard.Write(p)
}
