#include "serve/compression_filter.h"

#include <brotli/decode.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <deque>
#include <future>
#include <thread>

#include "process/child.h"
#include "serve/compressed_body.h"

namespace fivefold::serve {
namespace {

using exchange::Body;
using exchange::Chunk;
using exchange::Response;

struct NoSpawner final : process::Spawner {
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::internal, "no programs here");
  }
};

struct TestExchange final : exchange::Exchange {
  using Exchange::Exchange;
  net::Task<Result<Response>> redirect_locally(std::string) override {
    co_return fail(Code::internal, "no other paths here");
  }
};

// Decodes as much as there is: what a client could show by now.
std::string decode(std::string_view coding, std::string_view bytes) {
  std::string out(32u << 20, '\0');
  if (coding == "gzip") {
    z_stream stream{};
    ::inflateInit2(&stream, 15 + 16);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    ::inflate(&stream, Z_SYNC_FLUSH);
    out.resize(stream.total_out);
    ::inflateEnd(&stream);
  } else if (coding == "br") {
    auto* state = ::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
    std::size_t left = bytes.size(), room = out.size();
    auto* next = reinterpret_cast<const std::uint8_t*>(bytes.data());
    auto* to = reinterpret_cast<std::uint8_t*>(out.data());
    ::BrotliDecoderDecompressStream(state, &left, &next, &room, &to, nullptr);
    out.resize(out.size() - room);
    ::BrotliDecoderDestroyInstance(state);
  } else if (coding == "zstd") {
    auto* stream = ::ZSTD_createDStream();
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (in.pos < in.size && !::ZSTD_isError(::ZSTD_decompressStream(stream, &to, &in))) {
    }
    out.resize(to.pos);
    ::ZSTD_freeDStream(stream);
  } else {
    out = bytes;
  }
  return out;
}

// Gives one chunk at a time, as a program writes them.
struct Chunks final : exchange::BodySource {
  explicit Chunks(std::deque<std::string> c, bool fails = false) : chunks(std::move(c)), fails_at_end(fails) {}
  net::Task<Result<Chunk>> next() override {
    if (chunks.empty()) {
      if (fails_at_end) co_return fail(Code::program_failed, "died");
      co_return Chunk{};
    }
    current = std::move(chunks.front());
    chunks.pop_front();
    co_return Chunk(current);
  }
  std::deque<std::string> chunks;
  bool fails_at_end;
  std::string current;
};

struct Answers final : exchange::Handler {
  std::function<Response()> make;
  net::Task<Result<Response>> handle(exchange::Request, exchange::Exchange&) override { co_return make(); }
};

std::string text_of(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i)
    text += "line " + std::to_string(i * 7919) + " of a text that compresses\n";
  text.resize(size);
  return text;
}

Response text_response(Body body, std::string_view type = "text/plain; charset=utf-8") {
  Response response{.body = std::move(body)};
  response.headers.add("Content-Type", type);
  response.headers.add("ETag", "\"abc\"");
  response.headers.add("Accept-Ranges", "bytes");
  return response;
}

struct Answer {
  int status = 0;
  http::Headers headers;
  std::optional<std::uint64_t> length;
  std::vector<std::string> chunks;
  std::string body;
  bool failed = false;
  std::string decoded() const { return decode(headers.get("Content-Encoding"), body); }
};

class CompressionFilterTest : public ::testing::Test {
 protected:
  CompressionFilterTest() : thread_([this] { loop_.run(); }) {}
  ~CompressionFilterTest() override {
    loop_.stop();
    thread_.join();
  }

  net::Task<void> fetch(exchange::Filter& filter, std::vector<http::Field> fields, std::promise<Answer>& done) {
    http::Head head;
    head.fields = std::move(fields);
    const exchange::Peer peer;
    TestExchange exchange(world_);
    auto response = co_await filter.around({.head = head, .path = "/", .body = {}, .peer = peer}, exchange, handler_);
    Answer answer{.status = response->status, .headers = response->headers, .length = response->body.length()};
    while (true) {
      auto chunk = co_await response->body.next();
      if (!chunk) answer.failed = true;
      if (!chunk || chunk->empty()) break;
      answer.chunks.emplace_back(*chunk);
      answer.body += *chunk;
    }
    done.set_value(std::move(answer));
  }

  // The answers to `count` equal requests that are handled at the same time.
  std::vector<Answer> get_several(std::size_t count, std::string_view accept_encoding,
                                  std::vector<http::Field> more = {}) {
    const auto filter = make_compression_filter(settings_);
    if (!accept_encoding.empty()) more.push_back({"Accept-Encoding", accept_encoding});
    std::vector<std::promise<Answer>> promises(count);
    net::TaskGroup group;
    loop_.post([&] {
      for (auto& promise : promises) group.start(fetch(*filter, more, promise));
    });
    std::vector<Answer> answers;
    for (auto& promise : promises) answers.push_back(promise.get_future().get());
    std::promise<void> ended;
    loop_.post([&] { ended.set_value(); });
    ended.get_future().wait();
    return answers;
  }
  Answer get(std::string_view accept_encoding, std::vector<http::Field> more = {}) {
    return std::move(get_several(1, accept_encoding, std::move(more))[0]);
  }

  config::CompressionSettings settings_;
  Answers handler_;
  net::Loop loop_{0};
  NoSpawner spawner_;
  net::BlockingPool pool_{1};
  exchange::World world_{.loop = loop_, .blocking = pool_, .spawner = spawner_};
  std::thread thread_;
};

TEST_F(CompressionFilterTest, EachCodingDecodesToTheSame) {
  for (const std::size_t size : {1024u, 5000u, 65536u, 65537u, 3'000'000u}) {
    const std::string text = text_of(size);
    handler_.make = [&] { return text_response(Body::text(text)); };
    for (const char* coding : {"gzip", "br", "zstd"}) {
      const Answer answer = get(coding);
      EXPECT_EQ(answer.headers.get("Content-Encoding"), coding);
      EXPECT_EQ(answer.headers.get("Vary"), "Accept-Encoding");
      EXPECT_EQ(answer.headers.get("ETag"), "W/\"abc\"");
      EXPECT_FALSE(answer.headers.has("Accept-Ranges"));
      EXPECT_LT(answer.body.size(), size);
      EXPECT_TRUE(answer.decoded() == text) << coding << " " << size;
      // A small body's length is known.
      EXPECT_EQ(answer.length.has_value(), size <= 65536);
    }
  }
}

TEST_F(CompressionFilterTest, TheClientsWeightsThenOurPreference) {
  handler_.make = [] { return text_response(Body::text(text_of(5000))); };
  const auto coding = [&](std::string_view accept) { return std::string(get(accept).headers.get("Content-Encoding")); };
  EXPECT_EQ(coding("gzip, deflate, br, zstd"), "zstd");
  EXPECT_EQ(coding("gzip, br"), "br");
  EXPECT_EQ(coding("gzip;q=1.0, zstd;q=0.5, br;q=0.9"), "gzip");
  EXPECT_EQ(coding("*"), "zstd");
  EXPECT_EQ(coding("*, zstd;q=0"), "br");
  EXPECT_EQ(coding("identity"), "");
  EXPECT_EQ(coding("gzip;q=0"), "");
  EXPECT_EQ(coding(""), "");
}

TEST_F(CompressionFilterTest, WhatIsLeftAlone) {
  const auto untouched = [&](const char* what, std::function<Response()> make, bool varies = false) {
    handler_.make = std::move(make);
    const Answer answer = get("gzip, br, zstd");
    EXPECT_EQ(answer.headers.get("ETag"), "\"abc\"") << what;
    EXPECT_EQ(answer.headers.has("Vary"), varies) << what;
    EXPECT_TRUE(answer.headers.has("Accept-Ranges")) << what;
  };
  const auto with = [](std::string name, std::string value) {
    return [=] {
      auto response = text_response(Body::text(text_of(5000)));
      response.headers.add(name, value);
      return response;
    };
  };
  const auto status = [](int number) {
    return [=] {
      auto response = text_response(Body::text(text_of(5000)));
      response.status = number;
      return response;
    };
  };
  untouched("small", [] { return text_response(Body::text(text_of(1023))); });
  untouched("an image", [] { return text_response(Body::text(text_of(5000)), "image/png"); });
  untouched("events", [] { return text_response(Body::text(text_of(5000)), "text/event-stream"); });
  untouched("no type", [] { return text_response(Body::text(text_of(5000)), ""); });
  untouched("coded", with("Content-Encoding", "gzip"));
  untouched("no-transform", with("Cache-Control", "public, No-Transform"));
  untouched("a digest", with("Repr-Digest", "sha-256=:x:"));
  untouched("206", status(206));
  untouched("204", status(204));
  settings_.enabled = false;
  untouched("off", [] { return text_response(Body::text(text_of(5000))); });
}

TEST_F(CompressionFilterTest, WhatDoesNotGetSmallerIsSentAsItIs) {
  std::string noise(4000, '\0');
  std::uint64_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 6364136223846793005ull + 1442695040888963407ull) >> 56);
  handler_.make = [&] { return text_response(Body::text(noise)); };
  const Answer answer = get("gzip");
  EXPECT_FALSE(answer.headers.has("Content-Encoding"));
  EXPECT_EQ(answer.headers.get("ETag"), "\"abc\"");
  EXPECT_EQ(answer.headers.get("Vary"), "Accept-Encoding");
  EXPECT_EQ(answer.body, noise);
}

TEST_F(CompressionFilterTest, VaryIsAddedToWhatWasNotCompressedOnlyForThisClient) {
  handler_.make = [] { return text_response(Body::text(text_of(5000))); };
  EXPECT_EQ(get("").headers.get("Vary"), "Accept-Encoding");
  EXPECT_EQ(get("").headers.get("ETag"), "\"abc\"");
  handler_.make = [] {
    auto response = text_response(Body::text(text_of(5000)));
    response.headers.add("Vary", "Origin, accept-encoding");
    return response;
  };
  EXPECT_EQ(get("gzip").headers.get("Vary"), "Origin, accept-encoding");
}

TEST_F(CompressionFilterTest, TypesOfTheConfiguration) {
  settings_.types = {"image/*", "application/x-thing"};
  const auto coding = [&](std::string_view type) {
    handler_.make = [=] { return text_response(Body::text(text_of(5000)), type); };
    return std::string(get("gzip").headers.get("Content-Encoding"));
  };
  EXPECT_EQ(coding("image/x-raw"), "gzip");
  EXPECT_EQ(coding("APPLICATION/X-Thing; a=b"), "gzip");
  EXPECT_EQ(coding("application/x-thing2"), "");
  EXPECT_EQ(coding("text/plain"), "");
}

TEST_F(CompressionFilterTest, EachChunkOfAProgramCanBeReadWhenItWasWritten) {
  const std::deque<std::string> events{"data: one\n\n", "data: two\n\n", "data: three\n\n"};
  for (const char* coding : {"gzip", "br", "zstd"}) {
    handler_.make = [&] { return text_response(Body::stream(std::make_unique<Chunks>(events)), "text/plain"); };
    const Answer answer = get(coding);
    EXPECT_FALSE(answer.length);
    ASSERT_GE(answer.chunks.size(), events.size()) << coding;
    std::string sent, expected;
    for (std::size_t i = 0; i < events.size(); ++i) {
      sent += answer.chunks[i];
      expected += events[i];
      EXPECT_EQ(decode(coding, sent), expected) << coding;
    }
    EXPECT_EQ(answer.decoded(), expected);
  }
}

TEST_F(CompressionFilterTest, AProgramThatDiesIsAnErrorNotAnEnd) {
  handler_.make = [] {
    return text_response(Body::stream(std::make_unique<Chunks>(std::deque<std::string>{text_of(3000)}, true)));
  };
  const Answer answer = get("gzip");
  EXPECT_TRUE(answer.failed);
  EXPECT_EQ(answer.decoded(), text_of(3000));
}

TEST_F(CompressionFilterTest, AnEmptyStreamIsAValidOne) {
  for (const char* coding : {"gzip", "br", "zstd"}) {
    handler_.make = [] { return text_response(Body::stream(std::make_unique<Chunks>(std::deque<std::string>{}))); };
    const Answer answer = get(coding);
    EXPECT_FALSE(answer.body.empty());
    EXPECT_EQ(answer.decoded(), "");
  }
}

TEST_F(CompressionFilterTest, ResponsesAtTheSameTimeDoNotTouch) {
  const std::string text = text_of(1'000'000);
  handler_.make = [&] { return text_response(Body::text(text)); };
  for (const char* coding : {"gzip", "br", "zstd"})
    for (const Answer& answer : get_several(8, coding)) EXPECT_TRUE(answer.decoded() == text) << coding;
}

TEST_F(CompressionFilterTest, AFileIsReadAndCompressed) {
  const std::string text = text_of(500'000);
  std::string name = "/tmp/compress-XXXXXX";
  const int fd = ::mkstemp(name.data());
  ::unlink(name.c_str());
  ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  handler_.make = [&] { return text_response(Body::file({.fd = fd, .offset = 100, .length = text.size() - 100})); };
  const Answer answer = get("zstd");
  EXPECT_EQ(answer.headers.get("Content-Encoding"), "zstd");
  EXPECT_TRUE(answer.decoded() == text.substr(100));
  ::close(fd);
}

TEST_F(CompressionFilterTest, A304SpeaksOfTheTagThatTheClientNamed) {
  handler_.make = [] {
    Response response{.status = 304};
    response.headers.add("ETag", "\"abc\"");
    return response;
  };
  const Answer weak = get("gzip", {{"If-None-Match", "\"x\", W/\"abc\""}});
  EXPECT_EQ(weak.headers.get("ETag"), "W/\"abc\"");
  EXPECT_EQ(weak.headers.get("Vary"), "Accept-Encoding");
  EXPECT_EQ(get("gzip", {{"If-None-Match", "\"abc\""}}).headers.get("ETag"), "\"abc\"");
  EXPECT_EQ(get("gzip", {{"If-None-Match", "*"}}).headers.get("ETag"), "\"abc\"");
  EXPECT_EQ(get("", {{"If-None-Match", "W/\"abc\""}}).headers.get("ETag"), "\"abc\"");
}

TEST(CompressorCount, HasALimit) {
  CompressorCount count(2);
  EXPECT_TRUE(count.take());
  EXPECT_TRUE(count.take());
  EXPECT_FALSE(count.take());
  count.give_back();
  EXPECT_TRUE(count.take());
}

}  // namespace
}  // namespace fivefold::serve
