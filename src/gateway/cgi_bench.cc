// What building an environment and reading a head cost, for a request as a browser sends it.
#include <benchmark/benchmark.h>

#include "gateway/cgi_environment.h"
#include "gateway/cgi_response.h"

using namespace fivefold;

static void build_environment(benchmark::State& state) {
  http::Head head;
  head.method_text = "GET";
  head.target = "/cgi-bin/hello.cgi/extra?name=value&other=1";
  head.raw_path = "/cgi-bin/hello.cgi/extra";
  head.query = "name=value&other=1";
  head.has_query = true;
  head.host = head.host_field = "www.example.org";
  head.fields = {
      {"Host", "www.example.org"},
      {"User-Agent",
       "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"},
      {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
      {"Accept-Language", "en-GB,en;q=0.5"},
      {"Accept-Encoding", "gzip, deflate, br, zstd"},
      {"Connection", "keep-alive"},
      {"Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"},
      {"Upgrade-Insecure-Requests", "1"},
      {"Sec-Fetch-Dest", "document"},
      {"Sec-Fetch-Mode", "navigate"},
      {"Sec-Fetch-Site", "none"},
      {"Sec-Fetch-User", "?1"},
      {"Cache-Control", "max-age=0"}};
  const exchange::Peer peer{.address = "192.0.2.7", .port = 4711, .local_address = "198.51.100.1", .local_port = 8080};
  const gateway::CgiEnvironment environment({.document_root = "/srv/www"});
  const gateway::CgiRequest request{.head = head,
                                    .peer = peer,
                                    .script_name = "/cgi-bin/hello.cgi",
                                    .path_info = "/extra",
                                    .script_filename = "/srv/cgi-bin/hello.cgi",
                                    .request_id = "0123456789abcdef0123456789abcdef"};
  for (auto _ : state) benchmark::DoNotOptimize(environment.build(request));
}
BENCHMARK(build_environment);

static void parse_head(benchmark::State& state) {
  constexpr std::string_view kHead =
      "Content-Type: text/html; charset=utf-8\r\nStatus: 200 OK\r\nCache-Control: no-store\r\nSet-Cookie: a=b; "
      "Path=/\r\n\r\nbody";
  for (auto _ : state) {
    gateway::CgiHeadParser parser;
    gateway::CgiHead head;
    benchmark::DoNotOptimize(parser.parse(kHead, head));
  }
}
BENCHMARK(parse_head);
