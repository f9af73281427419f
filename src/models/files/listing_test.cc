#include "models/files/listing.h"

#include <gtest/gtest.h>

namespace fivefold::models::files {
namespace {

TEST(Listing, NaturalOrder) {
  EXPECT_TRUE(natural_less("file2", "file10"));
  EXPECT_TRUE(natural_less("file09", "file10"));
  EXPECT_TRUE(natural_less("a", "ab"));
  EXPECT_TRUE(natural_less("A", "a"));
  EXPECT_TRUE(natural_less("01", "1") != natural_less("1", "01"));
  EXPECT_FALSE(natural_less("x", "x"));
  EXPECT_TRUE(natural_less("99999999999999999999998", "99999999999999999999999"));
}

TEST(Listing, ShownNamesAreValidTextWithoutControls) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(shown_name("gr\xC3\xBC\xC3\x9F.txt"), "gr\xC3\xBC\xC3\x9F.txt");
  EXPECT_EQ(shown_name("a\xFF"
                       "b"),
            "a" + bad + "b");
  EXPECT_EQ(shown_name("\xC0\xAF"), bad + bad);                           // overlong
  EXPECT_EQ(shown_name("\xED\xA0\x80").find('\xED'), std::string::npos);  // surrogate
  EXPECT_EQ(shown_name("a\nb\x7F"), "a" + bad + "b" + bad);
  EXPECT_EQ(shown_name("gpj\xE2\x80\xAE.exe"), "gpj" + bad + ".exe");  // right-to-left override
  EXPECT_EQ(shown_name("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(shown_name("\xE2\x82"), bad + bad);  // cut short
}

}  // namespace
}  // namespace fivefold::models::files
