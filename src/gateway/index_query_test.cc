#include "gateway/index_query.h"

#include <gtest/gtest.h>

namespace fivefold::gateway {
namespace {

using Words = std::vector<std::string>;
using http::Method;

TEST(IndexQuery, SplitsAndDecodes) {
  EXPECT_EQ(index_words(Method::get, "1+ls"), (Words{"1", "ls"}));
  EXPECT_EQ(index_words(Method::head, "a%20b+c%2Bd"), (Words{"a b", "c+d"}));
  EXPECT_EQ(index_words(Method::get, "a++b"), (Words{"a", "", "b"}));
}

TEST(IndexQuery, GivesNothingUnlessAllIsWell) {
  for (const char* query : {"", "a=b", "a+b=c", "-s", "a+-d", "%2ds", "%20-s", "a%", "a%2", "a%zz", "a%00b"})
    EXPECT_EQ(index_words(Method::get, query), Words{}) << query;
  EXPECT_EQ(index_words(Method::post, "a+b"), Words{});
}

TEST(IndexQuery, TooManyWordsAreNone) {
  std::string query = "a";
  for (std::size_t i = 1; i < kMaxIndexWords; ++i) query += "+a";
  EXPECT_EQ(index_words(Method::get, query).size(), kMaxIndexWords);
  EXPECT_EQ(index_words(Method::get, query + "+a"), Words{});
  EXPECT_EQ(index_words(Method::get, std::string(kMaxIndexBytes + 1, 'a')), Words{});
}

}  // namespace
}  // namespace fivefold::gateway
