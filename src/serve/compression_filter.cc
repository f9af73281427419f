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

// What the filter must know of a response's fields, found in one pass.
struct Survey {
  std::string_view content_type;
  bool encoded = false;  // has a Content-Encoding
  bool partial = false;  // has a Content-Range
  bool no_transform = false;
  bool digested = false;  // speaks of the bytes as they are (RFC 9530 and its forerunners)
  bool varies = false;    // by Accept-Encoding already
};

Survey survey(const http::Headers& headers) {
  Survey found;
  headers.for_each([&found](std::string_view name, std::string_view value) {
    const auto is = [name](std::string_view wanted) { return equals_ignoring_case(name, wanted); };
    switch (name.size()) {
      case 4:
        if (is("Vary") && has_item(value, "Accept-Encoding")) found.varies = true;
        break;
      case 6:
        if (is("Digest")) found.digested = true;
        break;
      case 11:
        if (is("Content-MD5") || is("Repr-Digest")) found.digested = true;
        break;
      case 12:
        if (found.content_type.empty() && is("Content-Type")) found.content_type = value;
        break;
      case 13:
        if (is("Content-Range")) found.partial = true;
        if (is("Cache-Control") && has_item(value, "no-transform")) found.no_transform = true;
        break;
      case 14:
        if (is("Content-Digest")) found.digested = true;
        break;
      case 16:
        if (is("Content-Encoding")) found.encoded = true;
        break;
      default:
        break;
    }
  });
  return found;
}

void weaken_etag(http::Headers& headers) {
  const std::string_view etag = headers.get("ETag");
  if (etag.starts_with('"')) headers.set("ETag", "W/" + std::string(etag));
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
    } else if (may_be_eligible(*response)) {
      const Survey found = survey(response->headers);
      if (!is_eligible(found)) co_return response;
      if (!found.varies) response->headers.add("Vary", "Accept-Encoding");
      const auto accept = head.field("Accept-Encoding");
      const Coding coding = accept ? preferred(*accept) : Coding::identity;
      if (coding != Coding::identity) compress(*response, coding, exchange.world);
    }
    co_return response;
  }

 private:
  bool may_be_eligible(const Response& response) const {
    if (!settings_.enabled || response.status != 200) return false;
    const auto length = response.body.length();
    return !length || *length >= settings_.min_size;
  }

  bool is_eligible(const Survey& found) const {
    return !found.encoded && !found.partial && !found.no_transform && !found.digested &&
           has_compressible_type(found.content_type);
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
    if (!survey(headers).varies) headers.add("Vary", "Accept-Encoding");
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
