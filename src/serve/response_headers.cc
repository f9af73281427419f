#include "serve/response_headers.h"

namespace fivefold::serve {
namespace {

class ResponseHeaders final : public exchange::Filter {
 public:
  explicit ResponseHeaders(std::vector<std::pair<std::string, std::string>> fields) : fields_(std::move(fields)) {}
  net::Task<Result<exchange::Response>> around(exchange::Request request, exchange::Exchange& exchange,
                                               exchange::Handler& next) override {
    auto response = co_await next.handle(std::move(request), exchange);
    if (response) apply_route_headers(fields_, response->headers);
    co_return response;
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace

void apply_route_headers(const std::vector<std::pair<std::string, std::string>>& fields, http::Headers& headers) {
  for (const auto& [name, value] : fields) {
    if (value.empty())
      headers.remove(name);
    else
      headers.set(name, value);
  }
}

std::shared_ptr<exchange::Filter> make_response_headers_filter(
    std::vector<std::pair<std::string, std::string>> fields) {
  return std::make_shared<ResponseHeaders>(std::move(fields));
}

}  // namespace fivefold::serve
