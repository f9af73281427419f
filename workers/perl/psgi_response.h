#pragma once
// What a PSGI application returns: [status, headers, body], whose body is a list or a handle, or a subroutine that is
// given a responder. Members that say so leave by die(): they are called from Perl only.
#include "perl_api.h"

namespace fivefold::perl {

class PsgiResponse {
 public:
  // Once: makes the subroutines that applications are given.
  void start();
  CV* informational() const { return informational_; }

  void begin(worker::Request& request);
  void end() { request_ = nullptr; }
  // Sends what the application has returned. Dies when it is none of the three forms, and when its code dies.
  void take(SV* returned);

  // The head is on its way.
  bool begun() const { return responded_; }

  static constexpr std::size_t kPiece = 64 * 1024;  // of a body that is a handle

 private:
  static void respond(PerlInterpreter* my_perl, CV* cv);
  static void inform(PerlInterpreter* my_perl, CV* cv);
  static void write(PerlInterpreter* my_perl, CV* cv);
  static void close(PerlInterpreter* my_perl, CV* cv);

  // Each dies when it is given something else than it should.
  SV* answer(SV* response, bool may_write);
  void make_head(SV* status, SV* headers);
  void check_body(SV* body);
  void send_body(SV* body);
  void send_list(AV* pieces);
  void send_handle(SV* handle);
  bool send_file(SV* handle);
  void send(SV* piece);
  void call_close(SV* handle);
  void check_writer(SV* writer);

  worker::Request* request_ = nullptr;
  CV* respond_ = nullptr;
  CV* informational_ = nullptr;
  HV* writer_ = nullptr;  // the package of writers
  IV serial_ = 0;         // of the request, so that a writer of an earlier one is known
  bool responded_ = false;
  bool writing_ = false;   // a writer is open
  bool bodiless_ = false;  // HEAD, 1xx, 204, 304
  std::string head_;
};

}  // namespace fivefold::perl
