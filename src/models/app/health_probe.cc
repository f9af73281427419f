#include "models/app/health_probe.h"

#include "http/response_parser.h"
#include "net/connect.h"

namespace fivefold::models::app {
namespace {

Result<net::SocketAddress> address_of(const upstream::Endpoint& endpoint) {
  if (!endpoint.path.empty()) return net::SocketAddress::unix_path(endpoint.path);
  if (auto address = net::SocketAddress::numeric(endpoint.host, endpoint.port)) return *address;
  return fail(Code::internal, "only an address of this machine is looked at");
}

}  // namespace

net::Task<bool> accepts(net::Loop& loop, upstream::Endpoint endpoint, net::TimePoint deadline) {
  auto address = address_of(endpoint);
  if (!address) co_return false;
  auto fd = co_await net::connect(loop, *address, deadline);
  co_return fd.has_value();
}

net::Task<Result<void>> probe_health(upstream::Connections& connections, HealthProbe probe) {
  const auto deadline = connections.loop().now() + probe.timeout;
  auto opened = co_await connections.open();
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  if (probe.path.empty()) co_return Result<void>();

  net::Stream& stream = (*opened)->stream();
  const std::string request = "GET " + probe.path + " HTTP/1.1\r\nHost: " + probe.host +
                              "\r\nUser-Agent: Fivefold-Health\r\nConnection: close\r\n\r\n";
  auto sent = co_await stream.write_all(request, probe.timeout);
  if (!sent) co_return std::unexpected(std::move(sent.error()));
  http::ResponseHeadParser parser;
  http::ReceivedHead head;
  while (true) {
    auto parsed = parser.parse(stream.buffered(), http::Method::get, head);
    if (!parsed) co_return std::unexpected(std::move(parsed.error()));
    if (*parsed > 0 && head.status >= 200) break;
    if (*parsed > 0) {
      stream.consume(*parsed);
      parser.reset();
      continue;
    }
    auto got = co_await stream.fill(deadline);
    if (!got && got.error().code == Code::timed_out)
      co_return fail(Code::program_timeout,
                     "GET " + probe.path + " was not answered within " + std::to_string(probe.timeout.count()) + " ms");
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (*got == 0) co_return fail(Code::program_failed, "GET " + probe.path + " was answered by a closed connection");
  }
  if (head.status < 400) co_return Result<void>();
  co_return fail(Code::program_failed,
                 "GET " + probe.path + " was answered with status " + std::to_string(head.status));
}

}  // namespace fivefold::models::app
