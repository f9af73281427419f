#include <sys/resource.h>

#include "models/files/files_test_support.h"

namespace fivefold::models::files {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

class CachedFilesTest : public FilesFixture {};

TEST_F(CachedFilesTest, SecondAnswerNeedsNoDiskAndChangesAreNoticedAtOnce) {
  cache_.valid = std::chrono::hours(1);  // so that only inotify can tell
  write("a.txt", "one");
  const std::string etag(get("/a.txt").headers.get("ETag"));
  EXPECT_EQ(caches_->of(0)->size(), 1u);
  EXPECT_EQ(get("/a.txt").headers.get("ETag"), etag);
  EXPECT_TRUE(get("/a.txt").from_memory);
  const auto asked = net::Clock::now();
  write("a.txt", "second");
  while (net::Clock::now() - asked <= FileCaches::kAskAgain) std::this_thread::yield();
  EXPECT_EQ(get("/a.txt").body, "second");
  EXPECT_NE(get("/a.txt").headers.get("ETag"), etag);
  std::filesystem::remove(root_ + "/a.txt");
  EXPECT_TRUE(eventually([&] { return get("/a.txt").error.has_value(); }));
  on_loop([&] { EXPECT_EQ(caches_->of(0)->size(), 0u); });
}

TEST_F(CachedFilesTest, ANewIndexAndANewNeighbourAreNoticedAtOnce) {
  cache_.valid = std::chrono::hours(1);
  files_.index = {"first.html", "index.html"};
  write("index.html", "second choice");
  EXPECT_EQ(get("/", {{"Accept-Encoding", "gzip"}}).body, "second choice");
  write("index.html.gz", "zipped");
  EXPECT_TRUE(eventually([&] { return get("/", {{"Accept-Encoding", "gzip"}}).body == "zipped"; }));
  write("first.html", "first choice");
  EXPECT_TRUE(eventually([&] { return get("/").body == "first choice"; }));
}

TEST_F(CachedFilesTest, WithoutInotifyAChangeIsNoticedAfterValid) {
  watches_ = 0;
  cache_.valid = std::chrono::milliseconds(30);
  write("a.txt", "one");
  EXPECT_EQ(get("/a.txt").body, "one");
  write("a.txt", "second", std::chrono::seconds(5));
  EXPECT_TRUE(eventually([&] { return get("/a.txt").body == "second"; }));
}

TEST_F(CachedFilesTest, LargeFilesAreSentFromTheirDescriptor) {
  cache_.content = 1000;
  write("small", std::string(1000, 's'));
  write("large", std::string(1001, 'l'));
  EXPECT_TRUE(get("/small").from_memory);
  const Answer large = get("/large");
  EXPECT_TRUE(large.from_file);
  EXPECT_EQ(large.body, std::string(1001, 'l'));
  on_loop([&] { EXPECT_EQ(caches_->of(0)->descriptors(), 1u); });
}

TEST_F(CachedFilesTest, WithoutDescriptorsWhatIsInMemoryIsStillSent) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer opens pipes to look at memory, and calls it invalid when it cannot";
  cache_.valid = std::chrono::milliseconds(0);
  cache_.content = 1000;
  write("a.txt", "kept");
  write("large", std::string(2000, 'x'));
  EXPECT_EQ(get("/a.txt").body, "kept");
  EXPECT_EQ(get("/large").body.size(), 2000u);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const Answer kept = get("/a.txt"), unknown = get("/b.txt");
  std::size_t descriptors = 1;
  on_loop([&] { descriptors = caches_->of(0)->descriptors(); });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(kept.body, "kept");
  ASSERT_TRUE(unknown.error);
  EXPECT_EQ(unknown.error->code, Code::out_of_resources);
  EXPECT_EQ(descriptors, 0u);  // given back for connections
  EXPECT_EQ(get("/large").body.size(), 2000u);
}

TEST_F(CachedFilesTest, WorksWithoutACache) {
  cache_.entries = 0;
  write("a.txt", "one");
  EXPECT_TRUE(get("/a.txt").from_file);
  write("a.txt", "second");
  EXPECT_EQ(get("/a.txt").body, "second");
  EXPECT_EQ(caches_->of(0)->size(), 0u);
}

TEST_F(CachedFilesTest, AFileCutShortWhileItIsSentIsAnErrorOfThatBody) {
  cache_.content = 0;
  write("a.bin", std::string(300'000, 'x'));
  before_body_ = [&] { std::filesystem::resize_file(root_ + "/a.bin", 100'000); };
  const Answer answer = get("/a.bin");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body_error);
  before_body_ = nullptr;
  EXPECT_TRUE(eventually([&] { return get("/a.bin").body.size() == 100'000; }));
}

TEST_F(CachedFilesTest, FilesOver4GB) {
  const int fd = ::open((root_ + "/huge").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  constexpr off_t kSize = (off_t{5} << 30) + 3;
  ASSERT_EQ(::ftruncate(fd, kSize), 0);
  ASSERT_EQ(::pwrite(fd, "end", 3, kSize - 3), 3);
  ::close(fd);
  const Answer answer = get("/huge", {{"Range", "bytes=-3"}});
  EXPECT_EQ(answer.status, 206);
  EXPECT_EQ(answer.body, "end");
  EXPECT_EQ(answer.headers.get("Content-Range"), "bytes 5368709120-5368709122/5368709123");
  EXPECT_EQ(request(http::Method::head, "/huge", {{"Range", "bytes=-3"}}).length, 5368709123u);
}

}  // namespace
}  // namespace fivefold::models::files
