#include "serve/address_range.h"

#include <gtest/gtest.h>

namespace fivefold::serve {
namespace {

struct Row {
  const char* range;
  const char* address;
  bool contained;
};

TEST(AddressRange, Table) {
  const Row rows[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.1", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.8", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"unix:", "unix:", true},
      {"unix:", "127.0.0.1", false},
      {"127.0.0.1", "::ffff:127.0.0.1", true},
      {"127.0.0.1", "nonsense", false},
  };
  for (const auto& row : rows) {
    const auto range = AddressRange::parse(row.range);
    ASSERT_TRUE(range) << row.range;
    EXPECT_EQ(range->contains(row.address), row.contained) << row.range << " " << row.address;
  }
}

TEST(AddressRange, RefusesNonsense) {
  for (const char* text : {"", "example.org", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0/8", "10.0.0.0/-1"})
    EXPECT_FALSE(AddressRange::parse(text)) << text;
}

}  // namespace
}  // namespace fivefold::serve
