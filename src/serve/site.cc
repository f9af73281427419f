#include "serve/site.h"

#include <fstream>
#include <iterator>

#include "http/status.h"
#include "serve/address_range.h"
#include "serve/response_headers.h"

namespace fivefold::serve {
namespace {

// A filter in front of a handler is a handler.
class Filtered final : public exchange::Handler {
 public:
  Filtered(std::shared_ptr<exchange::Filter> filter, exchange::Handler& next)
      : filter_(std::move(filter)), next_(next) {}
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override {
    return filter_->around(std::move(request), exchange, next_);
  }

 private:
  std::shared_ptr<exchange::Filter> filter_;
  exchange::Handler& next_;
};

class NotThere final : public exchange::Handler {
 public:
  net::Task<Result<exchange::Response>> handle(exchange::Request, exchange::Exchange&) override {
    co_return fail(Code::not_found, "there is nothing at this address");
  }
};

}  // namespace

struct Site::TrustedRange {
  AddressRange range;
};

Site::Site(std::shared_ptr<const config::Config> config, Handlers handlers)
    : config_(std::move(config)), handlers_(std::move(handlers)), router_(config_->routes) {
  for (std::size_t i = 0; i < config_->routes.size(); ++i) {
    const auto& route = config_->routes[i];
    Entry entry;
    std::shared_ptr<exchange::Handler> handler = i < handlers_.routes.size() ? handlers_.routes[i] : nullptr;
    if (route.action == config::Action::run) {
      for (std::size_t p = 0; p < config_->programs.size(); ++p)
        if (config_->programs[p].name == route.run && p < handlers_.programs.size()) {
          const auto& program = config_->programs[p];
          handler = handlers_.programs[p];
          entry.takes_encoded_slashes =
              program.model == config::Model::app && program.app.extensions.empty() && program.app.index.empty();
        }
    }
    if (!handler) handler = std::make_shared<NotThere>();
    entry.owned.push_back(handler);
    auto filters =
        i < handlers_.filters.size() ? handlers_.filters[i] : std::vector<std::shared_ptr<exchange::Filter>>{};
    if (!route.headers.empty()) filters.insert(filters.begin(), make_response_headers_filter(route.headers));
    for (auto filter = filters.rbegin(); filter != filters.rend(); ++filter)
      entry.owned.push_back(std::make_shared<Filtered>(*filter, *entry.owned.back()));
    entry.outermost = entry.owned.back().get();
    entries_.push_back(std::move(entry));
  }
  for (const auto& [status, path] : config_->server.error_pages) {
    std::ifstream file(path, std::ios::binary);
    std::string page{std::istreambuf_iterator<char>(file), {}};
    if (!page.empty()) error_pages_.emplace_back(status, std::move(page));
  }
  auto trusted = std::make_shared<std::vector<TrustedRange>>();
  for (const auto& text : config_->server.trusted)
    if (auto range = AddressRange::parse(text)) trusted->push_back({*range});
  trusted_ = std::move(trusted);
}

std::vector<exchange::ProgramStatus> Site::program_status() const {
  std::vector<exchange::ProgramStatus> all;
  for (const auto& source : handlers_.program_status)
    if (source) all.push_back(source->status());
  return all;
}

std::string_view Site::error_page(int status) const {
  for (const auto& [own, page] : error_pages_)
    if (own == status) return page;
  return {};
}

bool Site::trusts(std::string_view address) const {
  for (const auto& trusted : *trusted_)
    if (trusted.range.contains(address)) return true;
  return false;
}

}  // namespace fivefold::serve
