#include "http/negotiate.h"

#include <optional>

#include "base/text.h"

namespace fivefold::http {
namespace {

// The weight among the parameters after a coding, in thousandths (RFC 9110 section 12.4.2). One that is no weight is
// not taken for consent.
std::uint16_t weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto semicolon = parameters.find(';');
    const auto parameter = trim(parameters.substr(0, semicolon));
    parameters.remove_prefix(semicolon == std::string_view::npos ? parameters.size() : semicolon + 1);
    const auto equals = parameter.find('=');
    if (!equals_ignoring_case(trim(parameter.substr(0, equals)), "q")) continue;
    const auto weight = equals == std::string_view::npos ? std::string_view{} : trim(parameter.substr(equals + 1));
    if (weight.empty() || weight.size() > 5 || (weight[0] != '0' && weight[0] != '1') ||
        (weight.size() > 1 && weight[1] != '.'))
      return 0;
    unsigned thousandths = weight[0] == '1' ? 1000 : 0;
    unsigned unit = 100;
    for (const char c : weight.substr(weight.size() > 1 ? 2 : 1)) {
      if (!is_digit(c) || (weight[0] == '1' && c != '0')) return 0;
      thousandths += static_cast<unsigned>(c - '0') * unit;
      unit /= 10;
    }
    return static_cast<std::uint16_t>(thousandths);
  }
  return 1000;
}

}  // namespace

std::string_view coding_name(Coding coding) {
  switch (coding) {
    case Coding::gzip:
      return "gzip";
    case Coding::br:
      return "br";
    case Coding::zstd:
      return "zstd";
    case Coding::identity:
      break;
  }
  return "";
}

bool AcceptedCodings::accepts(Coding coding) const {
  switch (coding) {
    case Coding::gzip:
      return gzip;
    case Coding::br:
      return br;
    case Coding::zstd:
      return zstd;
    case Coding::identity:
      break;
  }
  return true;  // even where the client refuses it, an uncoded answer beats none (RFC 9110 section 12.5.3)
}

std::uint16_t CodingWeights::of(Coding coding) const {
  switch (coding) {
    case Coding::gzip:
      return gzip;
    case Coding::br:
      return br;
    case Coding::zstd:
      return zstd;
    case Coding::identity:
      break;
  }
  return 1000;
}

CodingWeights parse_coding_weights(std::string_view value) {
  std::optional<std::uint16_t> gzip, br, zstd, any;
  for_each_list_item(value, [&](std::string_view item) {
    const auto semicolon = item.find(';');
    const auto coding = trim(item.substr(0, semicolon));
    const std::uint16_t weight = semicolon == std::string_view::npos ? 1000 : weight_of(item.substr(semicolon + 1));
    if (equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip"))
      gzip = weight;
    else if (equals_ignoring_case(coding, "br"))
      br = weight;
    else if (equals_ignoring_case(coding, "zstd"))
      zstd = weight;
    else if (coding == "*")
      any = weight;
  });
  const std::uint16_t otherwise = any.value_or(0);
  return {.gzip = gzip.value_or(otherwise), .br = br.value_or(otherwise), .zstd = zstd.value_or(otherwise)};
}

AcceptedCodings parse_accept_encoding(std::string_view value) {
  const CodingWeights weights = parse_coding_weights(value);
  return {.gzip = weights.gzip > 0, .br = weights.br > 0, .zstd = weights.zstd > 0};
}

}  // namespace fivefold::http
