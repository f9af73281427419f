#include "models/files/open_file_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace fivefold::models::files {
namespace {

Loaded content_of(std::size_t size) {
  auto resource = std::make_shared<Resource>();
  resource->whole.in_memory = true;
  resource->whole.content.assign(size, 'x');
  return {.resource = std::move(resource)};
}

Loaded open_file() {
  auto resource = std::make_shared<Resource>();
  resource->whole.fd = UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return {.resource = std::move(resource)};
}

constexpr net::TimePoint kNow{};

OpenFileCache::Key key(std::string_view path, std::uint32_t handler = 0) { return {handler, Want::file, path}; }

TEST(OpenFileCache, TheLeastRecentlyUsedGoesFirst) {
  OpenFileCache cache({.entries = 2}, 10);
  cache.store(key("a"), content_of(1), kNow);
  cache.store(key("b"), content_of(1), kNow);
  EXPECT_TRUE(cache.find(key("a")));
  cache.store(key("c"), content_of(1), kNow);
  EXPECT_TRUE(cache.find(key("a")));
  EXPECT_FALSE(cache.find(key("b")));
  EXPECT_TRUE(cache.find(key("c")));
  EXPECT_FALSE(cache.find(key("a", 1)));
}

TEST(OpenFileCache, MemoryIsBoundedAndGivenBack) {
  OpenFileCache cache({.entries = 1000, .memory = 100'000}, 10);
  for (int i = 0; i < 100; ++i) {
    cache.store(key("f" + std::to_string(i)), content_of(10'000), kNow);
    EXPECT_LE(cache.memory(), 100'000u);
  }
  EXPECT_GE(cache.size(), 7u);
  cache.store(key("huge"), content_of(30'000), kNow);
  EXPECT_FALSE(cache.find(key("huge")));
  for (int i = 0; i < 100; ++i) cache.erase(key("f" + std::to_string(i)));
  EXPECT_EQ(cache.memory(), 0u);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(OpenFileCache, DescriptorsAreBoundedAndReleased) {
  OpenFileCache cache({.entries = 1000}, 3);
  cache.store(key("text"), content_of(1), kNow);
  for (int i = 0; i < 10; ++i) {
    cache.store(key("f" + std::to_string(i)), open_file(), kNow);
    EXPECT_LE(cache.descriptors(), 3u);
  }
  EXPECT_TRUE(cache.find(key("text")));
  EXPECT_TRUE(cache.find(key("f9")));
  cache.release_descriptors();
  EXPECT_EQ(cache.descriptors(), 0u);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(OpenFileCache, AnEntryAgesAndAStoreOfTheSameRenewsIt) {
  OpenFileCache cache({.valid = std::chrono::seconds(1)}, 3);
  const Loaded loaded = content_of(1);
  cache.store(key("a"), loaded, kNow);
  EXPECT_TRUE(cache.is_fresh(*cache.find(key("a")), kNow + std::chrono::milliseconds(999)));
  EXPECT_FALSE(cache.is_fresh(*cache.find(key("a")), kNow + std::chrono::seconds(1)));
  cache.store(key("a"), loaded, kNow + std::chrono::seconds(1));
  EXPECT_TRUE(cache.is_fresh(*cache.find(key("a")), kNow + std::chrono::milliseconds(1999)));
  EXPECT_EQ(cache.size(), 1u);
}

TEST(OpenFileCache, OffKeepsNothing) {
  OpenFileCache cache({.entries = 0}, 3);
  cache.store(key("a"), content_of(1), kNow);
  EXPECT_FALSE(cache.find(key("a")));
}

}  // namespace
}  // namespace fivefold::models::files
