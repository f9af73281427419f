#include "exchange/sent_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/text.h"
#include "base/unique_fd.h"
#include "exchange/beneath.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/media_type.h"

namespace fivefold::exchange {
namespace {

struct OpenFile {
  std::shared_ptr<const UniqueFd> fd;
  std::uint64_t size = 0;
  std::int64_t modified = 0;
};

std::unexpected<Error> cannot_send(std::string_view name, std::string_view why) {
  return fail(Code::program_failed,
              "the program asked for the file " + printable(name, 200) + " to be sent: " + std::string(why));
}

Result<OpenFile> open_file(const std::string& root, std::string_view name) {
  std::string_view below = name;
  if (below.starts_with(root) && below.size() > root.size() && below[root.size()] == '/')
    below.remove_prefix(root.size());
  while (below.starts_with('/')) below.remove_prefix(1);
  const UniqueFd folder(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return cannot_send(name, "xsendfile_root " + root + " cannot be opened: " + errno_text(errno));
  UniqueFd fd(open_beneath(folder.get(), std::string(below).c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY));
  if (!fd) return cannot_send(name, errno == EXDEV ? "it is not beneath xsendfile_root" : errno_text(errno));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return cannot_send(name, errno_text(errno));
  if (!S_ISREG(status.st_mode)) return cannot_send(name, "it is not a regular file");
  return OpenFile{std::make_shared<const UniqueFd>(std::move(fd)), static_cast<std::uint64_t>(status.st_size),
                  status.st_mtime};
}

}  // namespace

Result<Response> send_file(const std::string& root, std::string_view name, Response response, bool status_given,
                           const http::Head& head, std::int64_t unix_now) {
  auto file = open_file(root, name);
  if (!file) return std::unexpected(std::move(file.error()));
  if (!response.headers.has("Content-Type")) response.headers.set("Content-Type", http::media_type_of(name));
  if (!response.headers.has("Last-Modified")) response.headers.set("Last-Modified", http::format_date(file->modified));

  FileSegment segment{.keep = file->fd, .fd = file->fd->get(), .offset = 0, .length = file->size};
  if (!status_given) {
    const std::string etag(response.headers.get("ETag"));
    const http::Validators validators{
        .etag = etag, .last_modified = http::parse_date(response.headers.get("Last-Modified"), unix_now)};
    switch (http::evaluate(head, validators, unix_now)) {
      case http::Condition::not_modified:
        response.status = 304;
        response.headers.remove("Content-Type");
        return response;
      case http::Condition::precondition_failed:
        return fail(Code::precondition_failed, "the file has changed");
      case http::Condition::proceed:
        break;
    }
    response.headers.set("Accept-Ranges", "bytes");
    const auto ranges = http::decide_ranges(head, validators, file->size, 1, unix_now);
    if (ranges.kind == http::RangeDecision::Kind::unsatisfiable)
      return fail(Code::range_not_satisfiable, "the range lies behind the end of the file",
                  "bytes */" + std::to_string(file->size));
    if (ranges.kind == http::RangeDecision::Kind::partial && ranges.ranges.size() == 1) {
      segment.offset = ranges.ranges[0].first;
      segment.length = ranges.ranges[0].length;
      response.status = 206;
      response.headers.set("Content-Range", "bytes " + std::to_string(segment.offset) + "-" +
                                                std::to_string(segment.offset + segment.length - 1) + "/" +
                                                std::to_string(file->size));
    }
  }
  response.body = Body::file(std::move(segment));
  return response;
}

}  // namespace fivefold::exchange
