#!/usr/bin/perl
# Heads of every kind.
my $how = $ENV{QUERY_STRING};
my %heads = (
    plain => "Content-type: text/plain\n\n", crlf => "Content-Type: text/plain\r\n\r\n", status => "Status: 404 Not Here\nContent-Type: text/plain\n\n",
    code => "Status: 418\nContent-Type: text/plain\n\n", redirect => "Location: http://elsewhere.example/x?a=b\n\n", absolute => "Status: 301 Moved\nLocation: http://elsewhere.example/\nContent-Type: text/html\n\n",
    local => "Location: /other/target.txt\n\n", lower => "content-type: text/plain\nx-lower: 1\n\n", folded => "Content-Type: text/plain\nX-Odd:no space\nX-Trail: a b  \n\n",
    cookies => "Set-Cookie: a=1\nSet-Cookie: b=2\nContent-Type: text/plain\n\n", length => "Content-Type: text/plain\nContent-Length: 6\n\n", none => '', empty => "\n",
    garbage => "no head at all\n\n", http => "HTTP/1.1 403 No\nContent-Type: text/plain\n\n", nocontent => "Status: 204\n\n", unchanged => "Status: 304\nETag: \"x\"\n\n",
    charset => "Content-Type: text/html; charset=iso-8859-1\n\n", early => "Status: 103\nLink: </a.css>; rel=preload\n\nContent-Type: text/plain\n\n", control => "X-A: a\0b\nContent-Type: text/plain\n\n",
    untyped => "X-Only: this\n\n", longer => "Content-Type: text/plain\nContent-Length: 3\n\n");
print $heads{$how};
print "body.\n" unless $how =~ /none|nocontent|unchanged/;
