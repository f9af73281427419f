<?php
echo json_encode([getenv('ONE_REQUEST'), getenv('CONFIGURED'), $_SERVER['CONFIGURED'] ?? null, $_ENV]);
putenv('ONE_REQUEST=' . $_GET['i']);
putenv('CONFIGURED=changed');
