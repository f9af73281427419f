# PSGI with Plack.
use strict;
use warnings;
use Digest::SHA;
use Plack::Request;
use Plack::Response;

my %pages = (
    '/hello' => sub { text('hello ' . $_[0]->param('name')) },
    '/form' => sub { text('form ' . $_[0]->param('name')) },
    '/upload' => sub {
        my $digest = Digest::SHA->new(256);
        while ($_[0]->body->read(my $piece, 65536)) { $digest->add($piece) }
        text($digest->hexdigest);
    },
    '/multipart' => sub { text(Digest::SHA->new(256)->addfile($_[0]->upload('file')->path, 'b')->hexdigest) },
    '/cookies' => sub {
        my $response = text($_[0]->header('Cookie') // '');
        $response->cookies->{$_->[0]} = $_->[1] for ['one', 1], ['two', 2];
        $response;
    },
    '/who' => sub {
        my $request = shift;
        my ($ip, $protocol, $host, $url) = ($request->address, $request->scheme, $request->header('Host'), $request->env->{REQUEST_URI});
        my $response = text(qq({"ip": "$ip", "protocol": "$protocol", "host": "$host", "url": "$url"}));
        $response->content_type('application/json');
        $response;
    },
    '/fail' => sub { die "on purpose\n" },
);

sub text { Plack::Response->new(200, ['Content-Type' => 'text/plain'], shift) }

my $application = sub {
    my $request = Plack::Request->new(shift);
    my $path = $request->path_info;
    if ($path =~ m{^/download/(\d+)$}) {
        my $left = $1;
        return sub {
            my $writer = shift->([200, ['Content-Type' => 'application/octet-stream']]);
            for (; $left > 0; $left -= 65536) { $writer->write('x' x ($left < 65536 ? $left : 65536)) }
            $writer->close;
        };
    }
    if ($path eq '/events') {
        my $until = $request->param('until');
        return sub {
            my $writer = shift->([200, ['Content-Type' => 'text/event-stream']]);
            $writer->write("data: first\n\n");
            select undef, undef, undef, 0.01 until -e $until;
            $writer->write("data: last\n\n");
            $writer->close;
        };
    }
    return [404, ['Content-Type' => 'text/plain'], ['nothing here']] unless $pages{$path};
    return $pages{$path}->($request)->finalize;
};

# The server in front says who asks and how; a Unix socket has no address.
sub {
    my $env = shift;
    ($env->{REMOTE_ADDR}) = ($env->{HTTP_X_FORWARDED_FOR} // '') =~ /([^,\s]+)\s*$/;
    $env->{'psgi.url_scheme'} = $env->{HTTP_X_FORWARDED_PROTO} // 'http';
    return $application->($env);
};
