#include "models/files/file_response.h"

#include <fmt/format.h>

#include <ctime>

#include "base/text.h"
#include "http/conditional.h"
#include "http/negotiate.h"
#include "models/files/multipart_ranges.h"

namespace fivefold::models::files {
namespace {

// The variant the client weighs highest; among equals the smallest, the file as it is last.
const Variant& choose(const Resource& resource, std::string_view accept_encoding) {
  const Variant* chosen = &resource.whole;
  if (resource.precompressed.empty() || accept_encoding.empty()) return *chosen;
  const auto weights = http::parse_coding_weights(accept_encoding);
  std::uint16_t heaviest = 0;
  for (const Variant& variant : resource.precompressed) {
    const auto weight = weights.of(variant.coding);
    if (weight <= heaviest) continue;
    heaviest = weight;
    chosen = &variant;
  }
  return *chosen;
}

exchange::Body body_of(const std::shared_ptr<const Resource>& resource, const Variant& variant, std::uint64_t first,
                       std::uint64_t length) {
  if (length == 0) return {};
  if (variant.in_memory)
    return exchange::Body::shared(resource, std::string_view(variant.content).substr(first, length));
  return exchange::Body::file({.keep = resource, .fd = variant.fd.get(), .offset = first, .length = length});
}

exchange::Response partial(const std::shared_ptr<const Resource>& resource, const Variant& variant,
                           const std::vector<http::ByteRange>& ranges, exchange::World& world) {
  exchange::Response response{.status = 206, .headers = variant.headers};
  if (ranges.size() == 1) {
    const auto [first, length] = ranges.front();
    response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", first, first + length - 1, variant.size));
    response.body = body_of(resource, variant, first, length);
    return response;
  }
  auto parts = std::make_unique<MultipartRanges>(resource, variant, ranges, variant.headers.get("Content-Type"),
                                                 world.loop, world.blocking);
  response.headers.set("Content-Type", parts->content_type());
  response.body = exchange::Body::stream(std::move(parts));
  return response;
}

}  // namespace

Asked survey(const http::Head& head) {
  Asked asked;
  for (const http::Field& field : head.fields) {
    const std::string_view name = field.name;
    switch (ascii_lower(name.empty() ? '\0' : name[0])) {
      case 'i':
        asked.conditional = asked.conditional || (name.size() > 3 && name[2] == '-');
        break;
      case 'r':
        asked.range = asked.range || equals_ignoring_case(name, "range");
        break;
      case 'a':
        if (name.size() == 15 && equals_ignoring_case(name, "accept-encoding"))
          asked.accept_encoding = field.value;
        else if (name.size() == 6 && equals_ignoring_case(name, "accept"))
          asked.accept = field.value;
        break;
      default:
        break;
    }
  }
  return asked;
}

bool wants_json(std::string_view accept) {
  bool json = false, html = false;
  for_each_list_item(accept, [&](std::string_view item) {
    const auto type = trim(item.substr(0, item.find(';')));
    json = json || equals_ignoring_case(type, "application/json");
    html = html || equals_ignoring_case(type, "text/html");
  });
  return json && !html;
}

Result<exchange::Response> file_response(const std::shared_ptr<const Resource>& resource, const http::Head& head,
                                         const Asked& asked, std::size_t max_ranges, exchange::World& world) {
  const Variant& variant = choose(*resource, asked.accept_encoding);
  if (asked.conditional || asked.range) {
    const http::Validators validators{.etag = variant.etag, .last_modified = variant.modified};
    const std::int64_t now = ::time(nullptr);
    switch (http::evaluate(head, validators, now)) {
      case http::Condition::not_modified:
        return exchange::Response{.status = 304, .headers = variant.not_modified};
      case http::Condition::precondition_failed:
        return fail(Code::precondition_failed,
                    "the file is not in the state that the request asks for (If-Match or If-Unmodified-Since)");
      case http::Condition::proceed:
        break;
    }
    // A Range counts for GET alone (RFC 9110 section 14.2); a listing has no parts.
    if (asked.range && head.method == http::Method::get && resource->kind == Resource::Kind::file) {
      const auto decision = http::decide_ranges(head, validators, variant.size, max_ranges, now);
      if (decision.kind == http::RangeDecision::Kind::partial)
        return partial(resource, variant, decision.ranges, world);
      if (decision.kind == http::RangeDecision::Kind::unsatisfiable)
        return fail(Code::range_not_satisfiable,
                    fmt::format("the range lies outside of the file's {} bytes", variant.size),
                    fmt::format("bytes */{}", variant.size));
    }
  }
  return exchange::Response{.headers = variant.headers, .body = body_of(resource, variant, 0, variant.size)};
}

Result<exchange::Response> slash_redirect(std::string_view path, const http::Head& head) {
  std::string location = percent_encode_path(path) + "/";
  if (head.has_query) location.append("?").append(head.query);
  exchange::Response response{.status = 301};
  if (!response.headers.add("Location", location))
    return fail(Code::bad_request, "the query cannot be repeated in a redirect");
  return response;
}

}  // namespace fivefold::models::files
