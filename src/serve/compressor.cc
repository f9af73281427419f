#include "serve/compressor.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace fivefold::serve {
namespace {

constexpr std::size_t kOutputStep = 16384;  // room that output grows by
// Windows as log2 of bytes. Every response being sent holds one, and what comes with it; larger ones gain some percent.
constexpr int kGzipWindow = 15;
constexpr int kBrotliWindow = 16;
constexpr int kZstdWindow = 17;  // RFC 9659 allows up to 23

// The smallest window, as log2, that holds `size` bytes.
int window_for(std::optional<std::uint64_t> size, int smallest, int largest) {
  if (!size) return largest;
  return std::clamp(static_cast<int>(std::bit_width(*size)), smallest, largest);
}

std::unexpected<Error> failed(const char* library) {
  return fail(Code::internal, std::string("compressing a response: ") + library + " reports an error");
}

class GzipCompressor final : public Compressor {
 public:
  GzipCompressor() = default;
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;
  ~GzipCompressor() override {
    if (begun_) ::deflateEnd(&stream_);
  }

  bool begin(int level, std::optional<std::uint64_t> size) {
    const int window = window_for(size, 9, kGzipWindow);
    constexpr int kGzipWrapper = 16;
    begun_ = ::deflateInit2(&stream_, level, Z_DEFLATED, window + kGzipWrapper, std::min(8, window - 6),
                            Z_DEFAULT_STRATEGY) == Z_OK;
    return begun_;
  }

  Result<void> compress(std::string_view input, Step step, std::string& out) override {
    const int mode = step == Step::finish ? Z_FINISH : step == Step::flush ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    do {
      // zlib counts in 32 bits.
      const auto taken = static_cast<uInt>(std::min<std::size_t>(input.size(), std::numeric_limits<int>::max()));
      const bool last = taken == input.size();
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
      stream_.avail_in = taken;
      input.remove_prefix(taken);
      do {
        const std::size_t filled = out.size();
        out.resize(filled + kOutputStep);
        stream_.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
        stream_.avail_out = kOutputStep;
        const int result = ::deflate(&stream_, last ? mode : Z_NO_FLUSH);
        out.resize(out.size() - stream_.avail_out);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return failed("zlib");
      } while (stream_.avail_out == 0);
    } while (!input.empty());
    return {};
  }

 private:
  z_stream stream_{};
  bool begun_ = false;
};

class BrotliCompressor final : public Compressor {
 public:
  BrotliCompressor() : state_(::BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {}

  bool begin(int level, std::optional<std::uint64_t> size) {
    if (!state_) return false;
    const auto window = static_cast<std::uint32_t>(window_for(size, BROTLI_MIN_WINDOW_BITS, kBrotliWindow));
    ::BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, static_cast<std::uint32_t>(level));
    ::BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, window);
    if (size)
      ::BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_SIZE_HINT,
                                  static_cast<std::uint32_t>(std::min<std::uint64_t>(*size, 1u << 30)));
    return true;
  }

  Result<void> compress(std::string_view input, Step step, std::string& out) override {
    const auto operation = step == Step::finish  ? BROTLI_OPERATION_FINISH
                           : step == Step::flush ? BROTLI_OPERATION_FLUSH
                                                 : BROTLI_OPERATION_PROCESS;
    auto* next = reinterpret_cast<const std::uint8_t*>(input.data());
    std::size_t left = input.size();
    do {
      std::size_t no_room = 0;
      if (!::BrotliEncoderCompressStream(state_.get(), operation, &left, &next, &no_room, nullptr, nullptr))
        return failed("brotli");
      while (::BrotliEncoderHasMoreOutput(state_.get())) {
        std::size_t taken = 0;
        const std::uint8_t* bytes = ::BrotliEncoderTakeOutput(state_.get(), &taken);
        out.append(reinterpret_cast<const char*>(bytes), taken);
      }
    } while (left > 0 || (step == Step::finish && !::BrotliEncoderIsFinished(state_.get())));
    return {};
  }

 private:
  struct Destroy {
    void operator()(BrotliEncoderState* state) const { ::BrotliEncoderDestroyInstance(state); }
  };
  std::unique_ptr<BrotliEncoderState, Destroy> state_;
};

class ZstdCompressor final : public Compressor {
 public:
  ZstdCompressor() : context_(::ZSTD_createCCtx()) {}

  bool begin(int level, std::optional<std::uint64_t> size) {
    if (!context_) return false;
    ::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
    ::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog, window_for(size, 10, kZstdWindow));
    if (size) ::ZSTD_CCtx_setPledgedSrcSize(context_.get(), *size);
    return true;
  }

  Result<void> compress(std::string_view input, Step step, std::string& out) override {
    const auto directive = step == Step::finish ? ZSTD_e_end : step == Step::flush ? ZSTD_e_flush : ZSTD_e_continue;
    ZSTD_inBuffer in{.src = input.data(), .size = input.size(), .pos = 0};
    while (true) {
      const std::size_t filled = out.size();
      out.resize(filled + kOutputStep);
      ZSTD_outBuffer to{.dst = out.data() + filled, .size = kOutputStep, .pos = 0};
      const std::size_t left = ::ZSTD_compressStream2(context_.get(), &to, &in, directive);
      out.resize(filled + to.pos);
      if (::ZSTD_isError(left)) return failed("zstd");
      if (step == Step::go_on ? in.pos == in.size : left == 0) return {};
    }
  }

 private:
  struct Destroy {
    void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Destroy> context_;
};

template <class T>
std::unique_ptr<Compressor> begun(int level, std::optional<std::uint64_t> size) {
  auto compressor = std::make_unique<T>();
  if (!compressor->begin(level, size)) return nullptr;
  return compressor;
}

}  // namespace

std::unique_ptr<Compressor> make_compressor(http::Coding coding, int level, std::optional<std::uint64_t> size) {
  switch (coding) {
    case http::Coding::gzip:
      return begun<GzipCompressor>(level, size);
    case http::Coding::br:
      return begun<BrotliCompressor>(level, size);
    case http::Coding::zstd:
      return begun<ZstdCompressor>(level, size);
    case http::Coding::identity:
      break;
  }
  return nullptr;
}

}  // namespace fivefold::serve
