#include "serve/compression_filter.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "exchange/file_source.h"
#include "http/media_type.h"
#include "http/negotiate.h"
#include "serve/compressed_body.h"
#include "serve/compressor.h"

namespace fivefold::serve {
namespace {

using exchange::Response;
using http::Coding;

// Bodies in memory up to this are compressed in one go, so that their length is known.
constexpr std::size_t kAtOnce = 65536;
// Responses compressed while they are sent, at once, on all loops: at most some 450 MB. Over it they are sent as they
// are.
constexpr std::size_t kCompressors = 256;

// zstd costs the least at a good ratio, br compresses best, gzip is what everything understands.
constexpr std::array kByPreference{Coding::zstd, Coding::br, Coding::gzip};

Coding preferred(std::string_view accept_encoding) {
  const auto weights = http::parse_coding_weights(accept_encoding);
  Coding chosen = Coding::identity;
  std::uint16_t heaviest = 0;
  for (const Coding coding : kByPreference) {
    if (weights.of(coding) <= heaviest) continue;
    heaviest = weights.of(coding);
    chosen = coding;
  }
  return chosen;
}

bool has_item(std::string_view list, std::string_view wanted) {
  bool found = false;
  for_each_list_item(
      list, [&](std::string_view item) { found = found || item == "*" || equals_ignoring_case(item, wanted); });
  return found;
}

void add_vary(http::Headers& headers) {
  bool present = false;
  headers.for_each([&](std::string_view name, std::string_view value) {
    present = present || (equals_ignoring_case(name, "Vary") && has_item(value, "Accept-Encoding"));
  });
  if (!present) headers.add("Vary", "Accept-Encoding");
}

void weaken_etag(http::Headers& headers) {
  const std::string_view etag = headers.get("ETag");
  if (etag.starts_with('"')) headers.set("ETag", "W/" + std::string(etag));
}

// Fields that speak of the bytes as they are (RFC 9530 and its forerunners).
bool has_digest(const http::Headers& headers) {
  return headers.has("Content-MD5") || headers.has("Content-Digest") || headers.has("Repr-Digest") ||
         headers.has("Digest");
}

class CompressionFilter final : public exchange::Filter {
 public:
  explicit CompressionFilter(config::CompressionSettings settings)
      : settings_(std::move(settings)), count_(std::make_shared<CompressorCount>(kCompressors)) {}

  net::Task<Result<Response>> around(exchange::Request request, exchange::Exchange& exchange,
                                     exchange::Handler& next) override {
    const http::Head& head = request.head;
    auto response = co_await next.handle(std::move(request), exchange);
    if (!response) co_return response;
    if (response->status == 304) {
      match_etag(head, response->headers);
    } else if (is_eligible(*response)) {
      add_vary(response->headers);
      const auto accept = head.field("Accept-Encoding");
      const Coding coding = accept ? preferred(*accept) : Coding::identity;
      if (coding != Coding::identity) compress(*response, coding, exchange.world);
    }
    co_return response;
  }

 private:
  bool is_eligible(const Response& response) const {
    if (!settings_.enabled || response.status != 200) return false;
    const auto length = response.body.length();
    if (length && *length < settings_.min_size) return false;
    const http::Headers& headers = response.headers;
    return has_compressible_type(headers.get("Content-Type")) && !headers.has("Content-Encoding") &&
           !headers.has("Content-Range") && !has_item_in(headers, "Cache-Control", "no-transform") &&
           !has_digest(headers);
  }

  static bool has_item_in(const http::Headers& headers, std::string_view field, std::string_view wanted) {
    bool found = false;
    headers.for_each([&](std::string_view name, std::string_view value) {
      found = found || (equals_ignoring_case(name, field) && has_item(value, wanted));
    });
    return found;
  }

  bool has_compressible_type(std::string_view content_type) const {
    if (settings_.types.empty()) return http::is_compressible(content_type);
    const auto type = trim(content_type.substr(0, content_type.find(';')));
    return std::ranges::any_of(settings_.types, [&](const std::string& pattern) {
      if (!pattern.ends_with("/*")) return equals_ignoring_case(type, pattern);
      const std::size_t prefix = pattern.size() - 1;
      return type.size() > prefix &&
             equals_ignoring_case(type.substr(0, prefix), std::string_view(pattern).substr(0, prefix));
    });
  }

  int level_of(Coding coding) const {
    return coding == Coding::zstd ? settings_.zstd_level
           : coding == Coding::br ? settings_.br_level
                                  : settings_.gzip_level;
  }

  // Leaves the response as it is when compressing gains nothing or cannot be afforded now.
  void compress(Response& response, Coding coding, exchange::World& world) const {
    const auto length = response.body.length();
    if (const auto* bytes = response.body.as_bytes(); bytes && bytes->view.size() <= kAtOnce) {
      const auto compressor = make_compressor(coding, level_of(coding), length);
      std::string compressed;
      if (!compressor || !compressor->compress(bytes->view, Compressor::Step::finish, compressed) ||
          compressed.size() >= bytes->view.size())
        return;
      compressed.shrink_to_fit();
      response.body = exchange::Body::text(std::move(compressed));
    } else {
      if (!count_->take()) return;
      auto compressor = make_compressor(coding, level_of(coding), length);
      if (!compressor) return count_->give_back();
      // A program's output is passed on as it comes; a file is read without waiting for it on the loop.
      const bool stream = response.body.as_stream() != nullptr;
      if (const auto* file = response.body.as_file())
        response.body =
            exchange::Body::stream(std::make_unique<exchange::FileSource>(*file, world.loop, world.blocking));
      response.body = exchange::Body::stream(std::make_unique<CompressedBody>(
          std::move(response.body), std::move(compressor), stream && !length, count_, world.loop));
    }
    response.headers.add("Content-Encoding", http::coding_name(coding));
    response.headers.remove("Accept-Ranges");  // ranges would be of the bytes as they are
    weaken_etag(response.headers);
  }

  // A client that takes codings and names the weak tag alone has a compressed answer, and hears of that one again (RFC
  // 9110 section 15.4.5).
  void match_etag(const http::Head& head, http::Headers& headers) const {
    const std::string_view etag = headers.get("ETag");
    const auto asked = head.field("If-None-Match");
    const auto accept = head.field("Accept-Encoding");
    if (!settings_.enabled || !etag.starts_with('"') || !asked || !accept || preferred(*accept) == Coding::identity)
      return;
    bool weak = false, strong = false;
    for_each_list_item(*asked, [&](std::string_view item) {
      weak = weak || (item.starts_with("W/") && item.substr(2) == etag);
      strong = strong || item == etag || item == "*";
    });
    if (!weak || strong) return;
    add_vary(headers);
    weaken_etag(headers);
  }

  config::CompressionSettings settings_;
  std::shared_ptr<CompressorCount> count_;
};

}  // namespace

std::shared_ptr<exchange::Filter> make_compression_filter(const config::CompressionSettings& settings) {
  return std::make_shared<CompressionFilter>(settings);
}

}  // namespace fivefold::serve
