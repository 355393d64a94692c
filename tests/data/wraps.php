<?php
// Wrote wraps.json: `php wraps.php PORT > wraps.json`, PORT being that of any Redis: phpredis wraps nothing unconnected.
// One mail as phpredis hands it to Redis under each OPT_SERIALIZER, in three sizes: the length takes 1, 2 and 4 octets.
$to = ["someone@example.com" => "Jörg \"J\" Müller"];
$mails = [
    "short" => ["to" => $to, "body" => "line 1\r\nline 2 – done\n", "subject" => "Grüße"],
    "long" => ["to" => $to, "body" => str_repeat("0123456789\n", 30), "subject" => "over 255 octets"],
    "huge" => ["to" => $to, "body" => str_repeat("0123456789\n", 6000), "subject" => "over 65,535 octets"],
];
$redis = new Redis();
$redis->connect("127.0.0.1", (int)$argv[1]);
$wraps = [
    "php" => fn($value) => wrap($redis, Redis::SERIALIZER_PHP, $value),
    "json" => fn($value) => wrap($redis, Redis::SERIALIZER_JSON, $value),
    "igbinary" => fn($value) => wrap($redis, Redis::SERIALIZER_IGBINARY, $value),
    "msgpack" => fn($value) => msgpack_pack($value), // what SERIALIZER_MSGPACK calls, where phpredis is built with it
];
function wrap($redis, $serializer, $value) {
    $redis->setOption(Redis::OPT_SERIALIZER, $serializer);
    return $redis->_serialize($value);
}
$golden = [];
foreach ($wraps as $name => $wrap) {
    foreach ($mails as $size => $mail) {
        $golden["$name-of-serialized-$size"] = ["mail" => $size, "bytes" => base64_encode(gzencode($wrap(serialize($mail))))];
    }
    $golden["$name-of-array-short"] = ["mail" => "short", "bytes" => base64_encode(gzencode($wrap($mails["short"])))];
}
echo json_encode($golden, JSON_PRETTY_PRINT), "\n";
