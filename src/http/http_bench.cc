// What the bytes of a request and of its response cost. Run with --benchmark_min_time=1x for a glance.
#include <benchmark/benchmark.h>

#include <string>

#include "http/chunked.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/head.h"
#include "http/media_type.h"
#include "http/response_head.h"
#include "http/target.h"

namespace fivefold::http {
namespace {

const std::string kSmall = "GET /hello.html HTTP/1.1\r\nHost: 127.0.0.1:8110\r\n\r\n";
const std::string kBrowser =
    "GET /shop/items?page=2&sort=price HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://www.example.org/shop/\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Priority: u=0, i\r\n"
    "\r\n";

void parse_head(benchmark::State& state, const std::string& bytes) {
  HeadParser parser({});
  Head head;
  for (auto _ : state) {
    auto parsed = parser.parse(bytes, head);
    benchmark::DoNotOptimize(parsed);
    benchmark::DoNotOptimize(head);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK_CAPTURE(parse_head, small, kSmall);
BENCHMARK_CAPTURE(parse_head, browser, kBrowser);

void parse_head_byte_by_byte(benchmark::State& state) {
  Head head;
  for (auto _ : state) {
    HeadParser parser({});
    for (std::size_t size = 1; size <= kBrowser.size(); ++size) {
      auto parsed = parser.parse(std::string_view(kBrowser).substr(0, size), head);
      benchmark::DoNotOptimize(parsed);
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBrowser.size()));
}
BENCHMARK(parse_head_byte_by_byte);

void normalize(benchmark::State& state, std::string_view raw) {
  std::string path;
  for (auto _ : state) {
    auto result = normalize_path(raw, path);
    benchmark::DoNotOptimize(result);
    benchmark::DoNotOptimize(path);
  }
}
BENCHMARK_CAPTURE(normalize, normal, "/shop/items/1/hello.html");
BENCHMARK_CAPTURE(normalize, encoded, "/shop/./items//a%20b/../hello.html");

void serialize_head(benchmark::State& state) {
  Headers headers;
  headers.add("Content-Type", "text/html; charset=utf-8");
  headers.add("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
  headers.add("ETag", "\"0123456789abcdef\"");
  headers.add("Accept-Ranges", "bytes");
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_response_head({.headers = &headers,
                          .framing = {Framing::Kind::length, 1024},
                          .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                          .server = "fivefold"},
                         out);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(serialize_head);

void build_headers(benchmark::State& state) {
  for (auto _ : state) {
    Headers headers;
    headers.add("Content-Type", "text/html; charset=utf-8");
    headers.add("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    headers.add("ETag", "\"0123456789abcdef\"");
    headers.set("Cache-Control", "no-cache");
    benchmark::DoNotOptimize(headers);
  }
}
BENCHMARK(build_headers);

void decode_chunked(benchmark::State& state) {
  std::string bytes;
  for (int i = 0; i < 64; ++i) bytes += chunk_prefix(1024) + std::string(1024, 'x') + std::string(kChunkEnd);
  bytes += kLastChunk;
  for (auto _ : state) {
    ChunkedDecoder decoder;
    std::string_view rest = bytes;
    while (!decoder.done()) rest.remove_prefix(decoder.decode(rest)->consumed);
    benchmark::DoNotOptimize(rest);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(decode_chunked);

void dates(benchmark::State& state) {
  const std::int64_t now = 784111777;
  for (auto _ : state) {
    auto parsed = parse_date(format_date(now), now);
    benchmark::DoNotOptimize(parsed);
  }
}
BENCHMARK(dates);

void media_type(benchmark::State& state) {
  for (auto _ : state) {
    auto type = media_type_of("/shop/items/hello.html");
    benchmark::DoNotOptimize(type);
  }
}
BENCHMARK(media_type);

}  // namespace
}  // namespace fivefold::http
