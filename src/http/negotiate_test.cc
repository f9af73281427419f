#include "http/negotiate.h"

#include <gtest/gtest.h>

#include <string>

namespace fivefold::http {
namespace {

std::string accepted(std::string_view value) {
  const auto codings = parse_accept_encoding(value);
  std::string shown;
  for (const Coding coding : {Coding::gzip, Coding::br, Coding::zstd})
    if (codings.accepts(coding)) shown += (shown.empty() ? "" : " ") + std::string(coding_name(coding));
  return shown;
}

TEST(AcceptEncoding, Table) {
  const std::pair<const char*, const char*> rows[] = {
      {"", ""},
      {"gzip", "gzip"},
      {"GZIP", "gzip"},
      {"x-gzip", "gzip"},
      {"gzip, deflate, br, zstd", "gzip br zstd"},
      {"gzip,br", "gzip br"},
      {"gzip ; q=0.5 , br;q=1.0", "gzip br"},
      {"gzip;q=0", ""},
      {"gzip;q=0.0", ""},
      {"gzip;q=0.000", ""},
      {"gzip;q=0.001", "gzip"},
      {"gzip;Q=0", ""},
      {"gzip;q=1", "gzip"},
      {"gzip;q=1.000", "gzip"},
      {"*", "gzip br zstd"},
      {"*;q=0", ""},
      {"br;q=0, *", "gzip zstd"},
      {"*, br;q=0", "gzip zstd"},
      {"*;q=0, gzip", "gzip"},
      {"identity", ""},
      {"identity;q=0", ""},
      {"gzipped", ""},
      {"gzip;x=y", "gzip"},
      {"gzip;x=y;q=0", ""},
      // What is no weight is not taken for consent.
      {"gzip;q=", ""},
      {"gzip;q", ""},
      {"gzip;q=2", ""},
      {"gzip;q=1.1", ""},
      {"gzip;q=-1", ""},
      {"gzip;q=0.0001", ""},
      {"gzip;q=abc", ""},
      {"gzip;q=0x", ""},
      {",,gzip,,", "gzip"},
      {";q=1", ""},
  };
  for (const auto& [value, expected] : rows) EXPECT_EQ(accepted(value), expected) << value;
}

TEST(AcceptEncoding, IdentityIsAlwaysThere) {
  EXPECT_TRUE(parse_accept_encoding("identity;q=0").accepts(Coding::identity));
  EXPECT_EQ(coding_name(Coding::identity), "");
}

}  // namespace
}  // namespace fivefold::http
