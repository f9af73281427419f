#include "exchange/spooled_body.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

namespace fivefold::exchange {
namespace {

// `pieces` chunks of `size` bytes each, of unknown length; then the end, or `error`.
class Pieces final : public BodySource {
 public:
  Pieces(std::size_t pieces, std::size_t size, std::optional<Error> error = {},
         std::optional<std::uint64_t> length = {})
      : left_(pieces), size_(size), error_(std::move(error)), length_(length) {}
  net::Task<Result<Chunk>> next() override {
    if (left_ == 0) {
      if (error_) co_return std::unexpected(*error_);
      co_return Chunk{};
    }
    --left_;
    piece_.resize(size_);
    for (char& byte : piece_) byte = static_cast<char>(counter_++ * 31 >> 3);
    co_return Chunk(piece_);
  }
  std::optional<std::uint64_t> length() const override { return length_; }

 private:
  std::size_t left_, size_;
  std::optional<Error> error_;
  std::optional<std::uint64_t> length_;
  std::string piece_;
  unsigned counter_ = 0;
};

std::string expected(std::size_t size) {
  std::string bytes(size, '\0');
  unsigned counter = 0;
  for (char& byte : bytes) byte = static_cast<char>(counter++ * 31 >> 3);
  return bytes;
}

class SpooledBody : public testing::Test {
 protected:
  SpooledBody() { std::filesystem::create_directory(folder); }
  ~SpooledBody() override { std::filesystem::remove_all(folder); }

  net::Task<void> run(Body body, SpoolLimits limits, std::string where) {
    auto result = co_await spool(std::move(body), limits, std::move(where), pool, loop);
    if (!result)
      error = result.error();
    else
      co_await look(std::move(*result));
    loop.stop();
  }
  net::Task<void> look(Body body) {
    length = body.length();
    in_file = body.as_stream() != nullptr;
    auto read = co_await read_all(body, 1u << 30);
    if (read) bytes = std::move(*read);
  }
  void go(std::unique_ptr<BodySource> source, SpoolLimits limits) {
    net::Running running(run(Body::stream(std::move(source)), limits, folder));
    if (!running.done()) loop.run();
  }

  net::Loop loop{0};
  net::BlockingPool pool{1};
  std::string folder = testing::TempDir() + "spooled_body_" + std::to_string(::getpid());
  std::optional<std::uint64_t> length;
  bool in_file = false;
  std::string bytes;
  std::optional<Error> error;
};

TEST_F(SpooledBody, SmallStaysInMemory) {
  go(std::make_unique<Pieces>(4, 25), {.memory = 100});
  EXPECT_EQ(length, 100u);
  EXPECT_FALSE(in_file);
  EXPECT_EQ(bytes, expected(100));
}

TEST_F(SpooledBody, OneByteMoreGoesToAFileWithoutAName) {
  go(std::make_unique<Pieces>(101, 1), {.memory = 100});
  EXPECT_EQ(length, 101u);
  EXPECT_TRUE(in_file);
  EXPECT_EQ(bytes, expected(101));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(SpooledBody, LargeComesBackAsItWas) {
  go(std::make_unique<Pieces>(700, 10'007), {.memory = 65536});
  EXPECT_EQ(length, 7'004'900u);
  EXPECT_TRUE(bytes == expected(7'004'900));
}

TEST_F(SpooledBody, EmptyIsEmpty) {
  go(std::make_unique<Pieces>(0, 0), {});
  EXPECT_EQ(length, 0u);
  EXPECT_FALSE(error);
}

TEST_F(SpooledBody, AsMuchAsTheMost) {
  go(std::make_unique<Pieces>(10, 100), {.memory = 100, .most = 1000});
  EXPECT_FALSE(error);
  EXPECT_EQ(length, 1000u);
}

TEST_F(SpooledBody, OneByteOverTheMost) {
  go(std::make_unique<Pieces>(1001, 1), {.memory = 100, .most = 1000});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::content_too_large);
  EXPECT_NE(error->message.find("1000 bytes"), std::string::npos);
}

TEST_F(SpooledBody, AnAnnouncedLengthOverTheMostIsRefusedUnread) {
  go(std::make_unique<Pieces>(1, 1, Error{Code::internal, "was read"}, 2000), {.memory = 100, .most = 1000});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::content_too_large);
}

TEST_F(SpooledBody, ThePeersErrorIsPassedOn) {
  go(std::make_unique<Pieces>(300, 1, Error{Code::request_timeout, "too slow"}), {.memory = 100});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::request_timeout);
}

TEST_F(SpooledBody, NoSuchFolder) {
  folder += "/missing";
  go(std::make_unique<Pieces>(300, 1), {.memory = 100});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::out_of_resources);
  EXPECT_NE(error->message.find(folder), std::string::npos);
  EXPECT_NE(error->message.find("No such file"), std::string::npos);
  folder = folder.substr(0, folder.rfind('/'));
}

// As a full disk does, a limit on the size of files makes the write fail in the middle.
TEST_F(SpooledBody, NoRoomForTheBody) {
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 100'000, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  go(std::make_unique<Pieces>(40, 10'000), {.memory = 50'000});
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::out_of_resources);
  EXPECT_NE(error->message.find("keeping a request body: "), std::string::npos);
}

// The pool's thread goes on with what it holds; nobody else does.
TEST_F(SpooledBody, LetGoOfWhileItIsWritten) {
  for (int i = 0; i < 20; ++i) {
    net::Running running(run(Body::stream(std::make_unique<Pieces>(100, 10'000)), {.memory = 1000}, folder));
    EXPECT_FALSE(running.done());
  }
  EXPECT_FALSE(length);
}

}  // namespace
}  // namespace fivefold::exchange
