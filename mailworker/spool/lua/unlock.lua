-- Given: owner, lists.

run_when_full()
redis.call('DEL', CLAIM .. owner)
if lock_holder() ~= owner then return 0 end
if there_is_work(lists) then return 1 end
lock_give_back()
return 0
